"""Jobs are done once, kept whole, and give the same results side by side."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from xray_helpers.training.jobs import kept_jobs, run_jobs


def count_up(job, inputs):
    """Work for the tests: leaves a mark that it ran, and gives a number."""
    with Path(inputs["log"]).open("a") as log:
        log.write(f"{job['number']}\n")
    if job.get("sleep"):
        time.sleep(job["sleep"])
    return {"sum": float(inputs["x"].sum()) + job["number"], "nothing": float("nan")}


@pytest.fixture
def inputs(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "cache"))
    return {"x": np.arange(4.0), "log": str(tmp_path / "log.txt")}


def log_of(inputs):
    return sorted(map(int, Path(inputs["log"]).read_text().split()))


JOBS = [{"number": n} for n in range(3)]


def test_results_come_in_the_order_of_the_jobs(inputs):
    results = run_jobs(count_up, JOBS, inputs=inputs, workers=1)
    assert [r["sum"] for r in results] == [6, 7, 8]
    assert [r["nothing"] for r in results] == [None] * 3
    assert not any(r["kept"] for r in results)


def test_what_was_done_is_not_done_again(inputs):
    first = run_jobs(count_up, JOBS[:2], inputs=inputs, workers=1)
    assert kept_jobs(count_up, JOBS, inputs=inputs) == 2
    second = run_jobs(count_up, JOBS, inputs=inputs, workers=1)
    assert log_of(inputs) == [0, 1, 2]
    assert [r["kept"] for r in second] == [True, True, False]
    assert [r["sum"] for r in second[:2]] == [r["sum"] for r in first]


def test_other_inputs_are_other_work(inputs):
    run_jobs(count_up, JOBS[:1], inputs=inputs, workers=1)
    changed = {**inputs, "x": inputs["x"] + 1}
    assert kept_jobs(count_up, JOBS[:1], inputs=changed) == 0
    assert run_jobs(count_up, JOBS[:1], inputs=changed, workers=1)[0]["sum"] == 10


def test_a_result_cut_short_is_computed_again(inputs, tmp_path):
    run_jobs(count_up, JOBS[:1], inputs=inputs, workers=1)
    (file,) = (tmp_path / "cache" / "jobs").iterdir()
    file.write_text(file.read_text()[:-20])
    assert run_jobs(count_up, JOBS[:1], inputs=inputs, workers=1)[0]["sum"] == 6
    assert json.loads(file.read_text())["result"]["sum"] == 6


def test_a_cache_that_cannot_be_written_is_done_without(inputs, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XRAY_CACHE", str(tmp_path / "file"))
    assert run_jobs(count_up, JOBS[:1], inputs=inputs, workers=1)[0]["sum"] == 6


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
import numpy as np
from test_jobs import count_up
from xray_helpers.training.jobs import run_jobs
if __name__ == "__main__":
    jobs = [{{"number": n, "sleep": {sleep}}} for n in range(4)]
    inputs = {{"x": np.arange(4.0), "log": {log!r}}}
    print([r["sum"] for r in run_jobs(count_up, jobs, inputs=inputs, workers={workers})])
"""


def start(inputs, tmp_path, sleep, workers):
    script = tmp_path / "script.py"
    tests = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(tests=tests, log=inputs["log"], sleep=sleep, workers=workers))
    environment = {**os.environ, "PYTHONPATH": tests}
    return subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    )


def test_a_killed_search_goes_on_where_it_was(inputs, tmp_path):
    killed = start(inputs, tmp_path, sleep=1.5, workers=1)
    jobs = tmp_path / "cache" / "jobs"
    deadline = time.monotonic() + 60
    while not (jobs.is_dir() and len([f for f in jobs.iterdir() if f.suffix == ".json"]) == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    out, _ = start(inputs, tmp_path, sleep=1.5, workers=1).communicate(timeout=60)
    assert out.strip() == "[6.0, 7.0, 8.0, 9.0]"
    # The third was under way when the search was killed; the first two were not repeated.
    assert log_of(inputs) in ([0, 1, 2, 2, 3], [0, 1, 2, 3])


def test_side_by_side_gives_the_same(inputs, tmp_path):
    process = start(inputs, tmp_path, sleep=0, workers=2)
    out, _ = process.communicate(timeout=120)
    assert out.strip() == "[6.0, 7.0, 8.0, 9.0]"
    assert log_of(inputs) == [0, 1, 2, 3]
