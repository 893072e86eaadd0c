"""`xray sweep --on sge` on a real Grid Engine: what is submitted, what is killed, what is left.

Each task is a notebook at smoke size on generated pictures: half a minute. Two run at a time.
"""

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import single_node
from student import NAME

SMALL = "-p smoke True --on sge --cores 1"
NEVER = "--gpu-c 99"  # no host here has such a GPU: the tasks wait


def _numbers(cluster, job: int) -> list[str]:
    """The GPUs that the Python processes of a job have seen."""
    files = (cluster.student.space / "gpu").glob(f"{job}.*")
    return [file.read_text(encoding="utf-8") for file in files]


def test_a_grid_becomes_one_array_job_four_records_and_a_table(cluster):
    said = cluster.xray(
        "sweep 02_task2 --grid backbone=vgg16,cnn --grid dropout=0.2,0.5 "
        f"{SMALL} --gpus 1 --gpu-c 7.5 --hours 0.5 --project {single_node.PROJECT} --name four",
        CUDA_VISIBLE_DEVICES="3",  # the log-in node's; no business of the job
    )
    (submission,) = cluster.submissions("four")
    job, collecting = submission["job"], submission["collecting"]
    assert f"job {job} " in said
    asked = cluster.as_student("qstat", "-j", str(job))
    assert re.search(r"job-array tasks: +1-4:1\n", asked)
    (resources,) = re.findall(r"hard resource_list: +(\S+)", asked)
    assert set(resources.split(",")) == {"h_rt=1800", "gpus=1", "gpu_c=7.5"}
    assert re.search(r"parallel environment: +omp range: 1\n", asked)
    assert re.search(rf"project: +{single_node.PROJECT}\n", asked)
    assert "CUDA_VISIBLE_DEVICES" not in asked

    cluster.wait_for_end(submission, 300)
    records = cluster.records("four")
    assert [record["status"] for record in records] == ["complete"] * 4
    assert sorted(record["sweep"]["task"] for record in records) == [1, 2, 3, 4]
    trained = {(r["settings"]["backbone"], r["settings"]["dropout"]) for r in records}
    assert trained == {("vgg16", 0.2), ("vgg16", 0.5), ("cnn", 0.2), ("cnn", 0.5)}

    # Grid Engine's own books: what each task was given, and that none has failed.
    entries = cluster.accounting(job)
    assert sorted(entry["taskid"] for entry in entries) == ["1", "2", "3", "4"]
    for entry in entries:
        assert (entry["failed"], entry["exit_status"]) == ("0", "0")
        assert (entry["project"], entry["granted_pe"]) == (single_node.PROJECT, "omp")
        assert "gpu_c=7.5,gpus=1,h_rt=1800" in entry["category"]
    (last,) = cluster.accounting(collecting)
    assert last["exit_status"] == "0"
    assert all(_time(last["start_time"]) >= _time(entry["end_time"]) for entry in entries)

    # The comparison, written by the collecting job.
    summary = (cluster.folder("four") / "summary.txt").read_text(encoding="utf-8")
    assert "4 of 4 complete" in summary
    table = pd.read_csv(cluster.folder("four") / "results.csv")
    assert sorted(table["run"]) == sorted(record["id"] for record in records)

    # A log a task: where it ran, with what; and no Python process saw another GPU than given.
    for task in (1, 2, 3, 4):
        log = (cluster.folder("four") / f"{task:04d}.log").read_text(encoding="utf-8")
        (line,) = re.findall(r"^Job .*", log, flags=re.MULTILINE)
        assert re.fullmatch(rf"Job {job} on \S+, 1 slots, GPU {single_node.GPU}", line)
        assert len(re.findall(r": task \d+, ", log)) == 1
    seen = _numbers(cluster, job)
    assert len(seen) >= 8  # a process that runs the notebook and a kernel, four times
    assert set(seen) == {single_node.GPU}

    again = cluster.xray(f"sweep --name four {SMALL.replace('-p smoke True', '')}")
    assert "all tasks are complete" in again
    assert len(cluster.submissions("four")) == 1


def test_two_sweeps_at_once_one_is_deleted_and_goes_on(cluster):
    first = f"sweep 02_task2 --grid backbone=cnn {SMALL} --gpu-c 7 --name first"
    second = f"sweep 02_task2 --grid backbone=cnn {SMALL} --gpu-c 7 --name second"
    cluster.xray(first)
    cluster.xray(second)
    (one,), (other,) = cluster.submissions("first"), cluster.submissions("second")
    assert one["job"] != other["job"]
    cluster.wait_for_training("first", 1)
    cluster.wait_for_training("second", 1)
    cluster.as_student("qdel", f"{one['job']}.1")
    cluster.wait(lambda: not cluster.in_queue(one["job"]), 60, "the deleted task to be gone")
    assert "interrupted" in cluster.xray(f"{first} --status")
    assert "running" in cluster.xray(f"{second} --status")

    assert "Nothing to submit" in cluster.xray(second)
    cluster.xray(first)
    _, again = cluster.submissions("first")
    assert again["tasks"] == [1]
    cluster.wait_for_end(other)
    cluster.wait_for_end(again)
    deleted, complete = cluster.records("first")
    assert (deleted["status"], complete["status"]) == ("started", "complete")
    (untouched,) = cluster.records("second")
    assert untouched["status"] == "complete"
    for name, run in (("first", complete), ("second", untouched)):
        assert "1 of 1 complete" in (cluster.folder(name) / "summary.txt").read_text()
        assert list(pd.read_csv(cluster.folder(name) / "results.csv")["run"]) == [run["id"]]
    _no_process_is_left()


def test_a_task_out_of_time_is_run_again_by_the_same_command(cluster):
    command = f"sweep 02_task2 --grid backbone=cnn {SMALL} --gpus 0 --name slow"
    cluster.xray(f"{command} --hours {12 / 3600}")
    (short,) = cluster.submissions("slow")
    cluster.wait_for_end(short)
    (entry,) = cluster.accounting(short["job"])
    assert entry["exit_status"].split()[0] == str(128 + signal.SIGKILL)
    assert "h_rt=12" in entry["category"]
    assert "0 of 1 complete" in (cluster.folder("slow") / "summary.txt").read_text()
    _no_process_is_left()

    cluster.xray(f"{command} --hours 0.5")
    _, again = cluster.submissions("slow")
    cluster.wait_for_end(again)
    assert "1 of 1 complete" in (cluster.folder("slow") / "summary.txt").read_text()
    assert cluster.records("slow")[-1]["status"] == "complete"


def test_only_what_is_missing_is_submitted_under_its_own_number(cluster):
    """Task 3 of three: SGE_TASK_ID 1 means task 3."""
    command = f"sweep 02_task2 --grid dropout=0.1,0.2,0.3 -p backbone cnn {SMALL} --name some"
    cluster.xray(f"{command} {NEVER}")
    (before,) = cluster.submissions("some")
    cluster.as_student("qdel", f"{before['job']}.3")
    cluster.wait(lambda: len(cluster.in_queue(before["job"])) == 2, 30, "a task to be gone")
    cluster.xray(f"{command} --gpu-c 7")
    _, again = cluster.submissions("some")
    assert again["tasks"] == [3]
    cluster.as_student("qdel", str(before["job"]))  # the table would wait for these
    cluster.wait_for_end(again)
    (record,) = cluster.records("some")
    assert (record["sweep"]["task"], record["settings"]["dropout"]) == (3, 0.3)
    shown = cluster.xray(f"{command} --status")
    assert "1 of 3 complete" in shown
    assert re.search(r"\b2  02_task2  dropout=0.2  waiting", shown)


def test_a_task_whose_host_is_lost_is_run_again(cluster):
    command = f"sweep 02_task2 --grid backbone=cnn {SMALL} --gpu-c 7 --name lost"
    cluster.xray(command)
    (submission,) = cluster.submissions("lost")
    cluster.wait_for_training("lost", 1)
    single_node.lose_host()
    for line in _students_processes():
        os.kill(int(line.split()[0]), signal.SIGKILL)
    try:
        cluster.wait(
            lambda: "lost: its host" in cluster.xray(f"{command} --status"), 90, "a lost host"
        )
        cluster.xray(command)
    finally:
        single_node.start_host()
    _, again = cluster.submissions("lost")
    cluster.wait_for_end(again)
    assert not cluster.in_queue(submission["job"])
    assert [r["status"] for r in cluster.records("lost")] == ["started", "complete"]


def test_the_same_command_twice_at_once_submits_once(cluster):
    words = f"sweep 02_task2 --grid backbone=cnn {SMALL} {NEVER} --name twice"
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(cluster.xray, [words, words]))
    (submission,) = cluster.submissions("twice")
    assert sum("Nothing to submit" in text for text in said) == 1
    assert len(cluster.in_queue(submission["job"])) == 1
    cluster.clear()


def test_held_and_queued_tasks_are_shown_and_left_alone(cluster):
    words = f"sweep 02_task2 --grid seed=0,1 {SMALL} {NEVER} --name held"
    cluster.xray(words)
    (submission,) = cluster.submissions("held")
    cluster.as_student("qhold", str(submission["job"]), "-t", "2")
    shown = cluster.xray(f"{words} --status")
    assert re.search(r"seed=0 +queued", shown)
    assert re.search(r"seed=1 +held", shown)
    assert "Nothing to submit" in cluster.xray(words)
    cluster.clear()


def test_a_task_in_error_state_is_shown_with_its_reason_and_taken_back(cluster):
    words = f"sweep 02_task2 --grid seed=0 -p backbone cnn {SMALL} {NEVER} --name error"
    cluster.xray(words)
    (submission,) = cluster.submissions("error")
    job = submission["job"]
    (cluster.folder("error") / "jobs").chmod(0o555)  # it will not be able to write there
    cluster.as_student("qalter", "-l", "h_rt=60", str(job))  # any host will do now
    cluster.wait(lambda: "Eqw" in "".join(cluster.in_queue(job)), 60, "an error state")
    assert "error: can't open output file" in cluster.xray(f"{words} --status")
    cluster.xray(words)
    assert not cluster.in_queue(job)
    _, again = cluster.submissions("error")
    assert again["tasks"] == [1]
    cluster.clear()


def test_what_the_cluster_refuses_is_one_sentence(cluster):
    command = f"sweep 02_task2 --grid backbone=cnn {SMALL} --project nobodys --name refused"
    done = cluster.student.run(f"xray {command}")
    assert done.returncode == 1
    assert re.fullmatch(r"xray: qsub refuses: .*nobodys.*\n", done.stderr)
    assert not cluster.submissions("refused")


def _time(text: str) -> float:
    return time.mktime(time.strptime(text.strip()))


def _students_processes() -> list[str]:
    found = subprocess.run(["ps", "-u", NAME, "-o", "pid=,args="], capture_output=True, text=True)
    return [line for line in found.stdout.splitlines() if "python" in line]


def _no_process_is_left() -> None:
    """A killed task leaves no kernel behind: it ends when its parent is gone."""
    end = time.monotonic() + 15
    while left := _students_processes():
        assert time.monotonic() < end, left
        time.sleep(0.5)
