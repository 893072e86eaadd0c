"""Sweeps on this machine: what is killed, fails or runs twice.

The tasks run a small notebook in place of the real one. It keeps a record as the real one does;
its `seed` says what it does.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import nbformat
import pytest

from xray_helpers.paths import PACKAGE
from xray_helpers.processes import is_alive
from xray_helpers.sweep import SweepFolder, plan_sweep, save_sweep
from xray_helpers.sweep.collect import collect, results, summary
from xray_helpers.sweep.local import dealt, run_sweep

FAILS, WAITS, DIES = 7, 8, 9  # seeds; others are complete at once

_BODY = f"""
import json, os, secrets, signal, time
from pathlib import Path

folder = Path(runs_dir) / f"{{time.time():.6f}}-task2-small-{{secrets.token_hex(3)}}"
folder.mkdir(parents=True)
record = {{"id": folder.name, "task": "task2", "environment": {{}}, "kernel": os.getpid()}}
record["sweep"] = json.loads(os.environ["XRAY_SWEEP_TASK"])
record["seen"] = {{name: os.environ.get(name) for name in ("NSLOTS", "CUDA_VISIBLE_DEVICES")}}

def write(status):
    part = folder / "part"
    part.write_text(json.dumps(record | {{"status": status}}))
    part.rename(folder / "run.json")

write("started")
gate = Path("gate")
if seed == {FAILS} and not gate.exists():
    write("failed")
    raise ValueError("seven is not possible")
while seed == {WAITS} and not gate.exists():
    time.sleep(0.05)
if seed == {DIES} and not gate.exists():
    os.kill(os.getpid(), signal.SIGKILL)
write("complete")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose task 2 is the small notebook; `gate` lets every task be complete."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "xray_helpers").symlink_to(PACKAGE, target_is_directory=True)
    parameters = nbformat.v4.new_code_cell(
        'seed = 0\nruns_dir = "auto"\nsave_model = True\nsmoke = False',
        metadata={"tags": ["parameters"]},
    )
    cells = [parameters, nbformat.v4.new_code_cell(_BODY)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "notebooks" / "02_task2.ipynb")
    monkeypatch.chdir(folder)
    return folder


def _open_gate(project: Path) -> None:
    (project / "notebooks" / "gate").touch()


def _command(*seeds: int, jobs: int = 1) -> list[str]:
    grid = ",".join(map(str, seeds))
    program = [sys.executable, "-c", "from xray_helpers.cli import main; main()", "sweep"]
    return [*program, "02_task2", "--grid", f"seed={grid}", "--jobs", str(jobs)]


def _sweep(*seeds: int) -> SweepFolder:
    """The sweep that `_command` runs."""
    return save_sweep(
        plan_sweep("02_task2", grid={"seed": list(seeds)}), Path(os.environ["XRAY_RUNS"])
    )


def _states(sweep: SweepFolder) -> list[str]:
    return [one.state for one in sweep.states()]


def _go_on(sweep: SweepFolder) -> list[str]:
    """What the same command does, in this process; the states afterwards."""
    run_sweep(sweep, say=lambda line: None)
    return _states(sweep)


def _run(command: list[str]) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def _until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def _records() -> list[dict]:
    files = sorted(Path(os.environ["XRAY_RUNS"]).glob("*/run.json"))
    return [json.loads(file.read_text()) for file in files]


def test_each_task_has_a_process_a_record_and_a_page_and_is_not_run_again(project):
    first = _run(_command(1, 2, jobs=2))
    assert first.returncode == 0, first.stdout + first.stderr
    sweep = _sweep(1, 2)
    assert _states(sweep) == ["complete", "complete"]
    records = _records()
    assert len({r["kernel"] for r in records}) == 2
    assert sorted(r["sweep"]["task"] for r in records) == [1, 2]
    assert {r["seen"]["NSLOTS"] for r in records} == {
        str(max(1, len(os.sched_getaffinity(0)) // 2))
    }
    assert all(sweep.page(task).is_file() for task in sweep.plan.tasks)
    assert list(results(sweep.states())["state"]) == ["complete", "complete"]
    again = _run(_command(1, 2))
    assert again.returncode == 0 and "2 of 2 complete" in again.stdout
    assert len(_records()) == 2


def test_a_failure_is_told_with_its_last_lines_and_only_it_is_run_again(project):
    first = _run(_command(1, FAILS, 2))
    assert first.returncode == 1
    assert "2 of 3 complete" in first.stdout
    assert "seven is not possible" in first.stdout.partition("the end of")[2]
    assert _states(_sweep(1, FAILS, 2)) == ["complete", "failed", "complete"]
    _open_gate(project)
    assert _go_on(_sweep(1, FAILS, 2)) == ["complete"] * 3
    assert len(_records()) == 4


def test_a_kernel_that_is_killed_is_not_complete_and_the_others_go_on(project):
    first = _run(_command(DIES, 1))
    assert first.returncode == 1
    assert _states(_sweep(DIES, 1)) == ["interrupted", "complete"]
    _open_gate(project)
    assert _go_on(_sweep(DIES, 1)) == ["complete"] * 2


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_sweep_that_is_stopped_leaves_nothing_running_and_goes_on(project, how):
    sweep = _sweep(1, WAITS, 2)
    process = subprocess.Popen(
        _command(1, WAITS, 2), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    _until(lambda: len(_records()) == 2 and _records()[-1]["status"] == "started")
    kernel = next(r["kernel"] for r in _records() if r["status"] == "started")
    process.send_signal(how)
    said, _ = process.communicate(timeout=60)
    _until(lambda: not sweep.is_running(sweep.task(2)) and not is_alive(kernel))
    assert _states(sweep)[0] == "complete"
    assert _states(sweep)[1] in ("interrupted", "failed")
    assert _states(sweep)[2] == "waiting"
    if how != signal.SIGKILL:
        assert process.returncode == 130
        assert "1 of 3 tasks are complete; the same command goes on" in said
    _open_gate(project)
    assert _go_on(sweep) == ["complete"] * 3


def test_ctrl_c_ends_the_tasks_in_order(project):
    sweep = _sweep(WAITS)

    def press() -> None:
        _until(lambda: bool(_records()))
        os.kill(os.getpid(), signal.SIGINT)

    # A test that was started in the background ignores SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    presser = threading.Thread(target=press)
    presser.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(sweep, say=lambda line: None)
    finally:
        presser.join()
        signal.signal(signal.SIGINT, before)
    assert not sweep.is_running(sweep.task(1))
    _until(lambda: not is_alive(_records()[0]["kernel"]))


def test_a_worker_that_is_killed_takes_its_kernel_with_it_and_the_sweep_goes_on(project):
    sweep = _sweep(WAITS, 1)
    process = subprocess.Popen(_command(WAITS, 1), stdout=subprocess.PIPE, text=True)
    _until(lambda: bool(_records()))
    kernel = _records()[0]["kernel"]
    status = Path(f"/proc/{kernel}/status").read_text()
    worker = int(next(x.split()[1] for x in status.splitlines() if x.startswith("PPid")))
    os.kill(worker, signal.SIGKILL)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "1 of 2 complete" in said
    assert _states(sweep) == ["interrupted", "complete"]
    _until(lambda: not is_alive(kernel))


def test_the_same_command_twice_at_once_runs_each_task_once(project):
    sweep = _sweep(WAITS, 1)
    one = subprocess.Popen(_command(WAITS, 1), stdout=subprocess.PIPE, text=True)
    _until(lambda: bool(_records()))
    two = subprocess.Popen(_command(WAITS, 1), stdout=subprocess.PIPE, text=True)
    _until(lambda: _states(sweep)[1] == "complete")  # by the second, while the first one waits
    assert two.poll() is None  # it waits for what the other one runs
    _open_gate(project)
    for process in (one, two):
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and "2 of 2 complete" in said
    assert len(_records()) == 2


def test_another_sweep_of_the_same_tasks_does_not_mix_with_it(project):
    assert _go_on(_sweep(1)) == ["complete"]
    other = save_sweep(
        plan_sweep("02_task2", grid={"seed": [1]}, name="other"), Path(os.environ["XRAY_RUNS"])
    )
    assert _states(other) == ["waiting"]


def test_a_disk_that_is_full_is_said_and_the_same_command_goes_on(project, monkeypatch, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        monkeypatch.setenv("XRAY_RUNS", str(disk))
        sweep = _sweep(1)
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 1000)
        done = _run(_command(1))
        assert done.returncode != 0
        assert "No space left on device" in done.stdout + done.stderr
        assert "complete" not in _states(sweep)
        filler.unlink()
        assert _go_on(sweep) == ["complete"]
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_gpus_are_dealt_out_one_a_process_and_threads_shared(project, monkeypatch):
    sweep = _sweep(1, 2, 3)
    monkeypatch.setenv("NSLOTS", "8")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert [(s.gpus, s.threads) for s in dealt(sweep, None)] == [("4", 4), ("6", 4)]
    assert [s.gpus for s in dealt(sweep, 1)] == ["4"]
    assert [s.gpus for s in dealt(sweep, 8)] == ["4", "6"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert [(s.gpus, s.threads) for s in dealt(sweep, 2)] == [(None, 4), (None, 4)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    _go_on(_sweep(1, 2))
    assert {r["seen"]["CUDA_VISIBLE_DEVICES"] for r in _records()} == {"5", "6"}


def test_the_summary_of_nothing_done_says_how_to_go_on(project):
    sweep = _sweep(1, 2)
    assert not collect(sweep)
    assert "0 of 2 complete" in summary(sweep)
    assert (sweep.folder / "results.csv").read_text().count("waiting") == 2


def test_status_and_dry_run_start_nothing(project):
    dry = _run([*_command(1, 2), "--dry-run"])
    assert dry.returncode == 0 and "nothing was run" in dry.stdout
    assert not Path(os.environ["XRAY_RUNS"]).exists()
    assert "No sweeps" in _run([*_command(1)[:4], "--status"]).stdout
    _sweep(1, 2)
    status = _run([*_command(1, 2), "--status"])
    assert status.stdout.count("waiting") == 2
    assert not _records()
