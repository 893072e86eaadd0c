"""`xray cpu-gpu`, with notebooks that end at once and stand-ins for the scheduler."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from timing_rows import FROZEN, TOY, TUNED, gpu_timing, row, timing

from xray_helpers.cli import main
from xray_helpers.run import Run
from xray_helpers.runs.record import SWEEP_TASK, RunFolder
from xray_helpers.runs.store import list_runs
from xray_helpers.session import check_run
from xray_helpers.sweep import local, sge
from xray_helpers.sweep.submitted import Submission
from xray_helpers.training import read_timing

CPU = timing(
    row(host="scc-7", total=20.0), row(TUNED, host="scc-7", total=36.0), row(TOY, host="scc-7")
)


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def command(runs):
    """Gives what `xray cpu-gpu` with these arguments says."""

    def call(*arguments: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["cpu-gpu", *arguments, "--runs-dir", str(runs)])
        assert done.exit_code == status, done.output
        return done.output

    return call


def run_notebook(sweep, monkeypatch) -> None:
    """What 04_cpu_vs_gpu does, but for the measuring."""
    (task,) = sweep.plan.tasks
    values = {**task.settings, "runs_dir": str(sweep.runs)}
    settings, which, recipe = check_run(task.notebook, values)
    with monkeypatch.context() as patched:
        patched.setenv(SWEEP_TASK, json.dumps(sweep.mark(task)))
        record = RunFolder(sweep.runs, task.notebook, which, "vgg16", settings.model_dump())
    run = Run(task.notebook, settings, record)
    run.recipe = recipe
    nothing = {"schema": 2, "measurements": []}
    run.record_timing({"gpu": gpu_timing(), "cpu": CPU, "none": nothing}[settings.measure])
    run.complete()


def run_of(runs: Path, measure: str) -> dict:
    """The record of the one run that measured this."""
    (record,) = [r for r in list_runs(runs) if r["settings"]["measure"] == measure]
    return record


class Ran:
    """Runs sweeps whose notebooks end at once.

    Attributes:
        ended: which were run, in order.
        failing: which of them do not become complete.
    """

    def __init__(self, monkeypatch):
        self.ended, self.failing, self.monkeypatch = [], [], monkeypatch

    def __call__(self, sweep, *, jobs=1, say=print):
        assert jobs == 1
        if sweep.states()[0].state != "complete":
            name = sweep.plan.name.split("-")[3]
            self.ended.append(name)
            if name not in self.failing:
                run_notebook(sweep, self.monkeypatch)


@pytest.fixture
def ran(monkeypatch):
    """What was run, here, where there seems to be a GPU."""
    made = Ran(monkeypatch)
    monkeypatch.setattr(local, "run_sweep", made)
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0"])
    return made


def test_gpu_and_cpu_are_timed_and_merged_into_one_record(command, ran, runs):
    said = command()
    assert ran.ended == ["gpu", "cpu", "merged"]
    record = run_of(runs, "none")
    assert f"For the report: {record['folder']}" in said
    devices = record["timing"]["devices"]
    assert [(d["device"], d["host"], d["threads"]) for d in devices] == [
        ("NVIDIA A100-SXM4-80GB", "scc-213", 4),
        ("cpu", "scc-7", 4),
    ]
    works = [r["work"] for m in read_timing(Path(record["folder"]) / "timing.json")["measurements"]
             for r in m["rows"]]  # fmt: skip
    assert works == [FROZEN, TUNED, TOY] * 2
    assert "The machines differ" in said and FROZEN in said and TUNED in said


def test_what_is_complete_is_not_timed_again(command, ran, runs):
    first = command("-p", "epochs", "3")
    assert "For the report" in first
    assert command("-p", "epochs", "3").splitlines()[-1] == first.splitlines()[-1]
    assert ran.ended == ["gpu", "cpu", "merged"]
    command("-p", "epochs", "4")
    assert ran.ended == ["gpu", "cpu", "merged"] * 2


def test_what_failed_is_run_again_and_nothing_is_merged_before(command, ran):
    ran.failing.append("gpu")
    said = command(status=1)
    assert "Not complete: gpu; " in said and "0001.log says why" in said
    assert ran.ended == ["gpu", "cpu"]
    ran.failing.clear()
    command()
    assert ran.ended == ["gpu", "cpu", "gpu", "merged"]


def test_a_machine_without_a_gpu_times_its_cpu_and_says_so(command, ran, monkeypatch, runs):
    monkeypatch.setattr(local, "visible_gpus", list)
    said = command()
    assert said.startswith("No GPU here: the CPU alone is timed.")
    assert ran.ended == ["cpu"]
    assert "Only one device was measured" in said
    assert f"For the report: {run_of(runs, 'cpu')['folder']}" in said


def test_a_timing_from_elsewhere_is_merged_too(command, ran, monkeypatch, runs, tmp_path):
    monkeypatch.setattr(local, "visible_gpus", list)
    (tmp_path / "timing.json").write_text(json.dumps(gpu_timing()))
    command("-p", "merge", str(tmp_path / "timing.json"))
    assert ran.ended == ["cpu", "merged"]
    assert run_of(runs, "none")["timing"]["devices"][1]["host"] == "scc-213"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-p", "epohcs", "2"), "did you mean 'epochs'"),
        (("-p", "backbone", "cpu"), "backbone='cpu' is not possible"),
        (("-p", "measure", "gpu"), "measure is what this command varies"),
        (("-p", "merge", "nowhere.json"), "there is no file"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_runs(command, ran, runs, arguments, sentence):
    assert sentence in command(*arguments, status=1)
    assert not ran.ended
    assert not runs.exists()


def test_status_and_dry_run_write_nothing(command, ran, runs):
    for option in ("--status", "--dry-run"):
        said = command(option)
        assert [line.split() for line in said.splitlines()] == [
            ["gpu", "waiting"], ["cpu", "waiting"], ["merged", "waiting"],
        ]  # fmt: skip
    assert not runs.exists()
    command()
    said = command("--status")
    assert said.startswith("gpu     complete  20")
    assert "For the report" in said


# --- on a cluster ---------------------------------------------------------------------------------


class Queue:
    """A scheduler: what was submitted waits until `run` is called.

    Attributes:
        jobs: number -> the sweep, what it asks for, and the jobs it waits for.
    """

    def __init__(self, monkeypatch):
        self.jobs, self.waiting, self.ran = {}, {}, Ran(monkeypatch)
        for name in ("submit", "jobs_of", "queue_states"):
            monkeypatch.setattr(sge, name, getattr(self, name))

    def submit(self, sweep, resources, say, *, hold, collect):
        assert sweep.folder.is_dir() and not collect
        if sweep.plan.name in self.waiting or sweep.states()[0].state == "complete":
            return None
        job = 100 + len(self.jobs)
        self.jobs[job] = (sweep, resources, list(hold))
        self.waiting[sweep.plan.name] = job
        return Submission(job, (1,))

    def jobs_of(self, sweep):
        return [job for name, job in self.waiting.items() if name == sweep.plan.name]

    def queue_states(self, sweep):
        held = [job for job in self.jobs_of(sweep) if self.jobs[job][2]]
        return {1: "held" if held else "queued"} if self.jobs_of(sweep) else {}

    def run(self):
        for job in self.waiting.values():
            self.ran(self.jobs[job][0])
        self.waiting.clear()


@pytest.fixture
def queue(monkeypatch):
    monkeypatch.delenv("SCC_PROJECT", raising=False)
    return Queue(monkeypatch)


def test_two_jobs_are_submitted_and_a_third_that_waits_for_both(command, queue):
    said = command("--on", "sge", "--cores", "8", "--gpu-c", "8.0", "--project", "xrays")
    (_, gpu, no), (_, cpu, none), (_, merged, both) = queue.jobs.values()
    assert (gpu.gpus, gpu.gpu_c, gpu.cores, gpu.hours, gpu.project) == (1, 8.0, 8, 2.0, "xrays")
    assert (cpu.gpus, cpu.cores) == (0, 8)
    assert (merged.gpus, merged.cores, merged.hours) == (0, 1, 1.0)
    assert (no, none, both) == ([], [], [100, 101])
    states = [line.split() for line in said.splitlines()[:3]]
    assert states == [["gpu", "queued"], ["cpu", "queued"], ["merged", "held"]]


def test_the_same_command_submits_what_is_left_and_shows_the_table_in_the_end(command, queue):
    command("--on", "sge")
    command("--on", "sge")
    assert len(queue.jobs) == 3
    queue.ran.failing = ["gpu", "merged"]
    queue.run()
    queue.ran.failing = []
    command("--on", "sge")
    assert [sweep.plan.name.split("-")[3] for sweep, _, _ in queue.jobs.values()] == [
        *("gpu", "cpu", "merged"),
        *("gpu", "merged"),
    ]
    assert queue.jobs[104][2] == [103]
    queue.run()
    said = command("--on", "sge", "--status")
    assert [line.split()[1] for line in said.splitlines()[:3]] == ["complete"] * 3
    assert "For the report" in said
    assert "For the report" in command("--on", "sge")
    assert len(queue.jobs) == 5


def test_a_dry_run_shows_what_each_job_asks_for_and_writes_nothing(command, queue, runs):
    said = command("--on", "sge", "--dry-run")
    assert "gpu     qsub -l h_rt=2:00:00 -pe omp 4 -l gpus=1 -l gpu_c=7.0" in said
    assert "cpu     qsub -l h_rt=2:00:00 -pe omp 4 -v" in said
    assert "merged  qsub -hold_jid GPU,CPU -l h_rt=1:00:00 -pe omp 1 -v" in said
    assert not queue.jobs
    assert not runs.exists()
