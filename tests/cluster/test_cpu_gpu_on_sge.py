"""`xray cpu-gpu --on sge` on a real Grid Engine, whose one host has no GPU that TensorFlow knows.

So the job that wants one is sent where none is, waits, and is taken away; a timing takes its place.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from student import NAME

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit"))
from timing_rows import gpu_timing

COMMAND = "cpu-gpu --on sge -p smoke True --cores 1 --hours 0.5"
NEVER = "--gpu-c 99"  # no host here has such a GPU


def _jobs(cluster) -> dict[str, int]:
    """The number of the newest job of each of the three."""
    newest = {}
    for folder in (cluster.runs / "sweeps").glob("cpu-gpu-*"):
        submissions = cluster.submissions(folder.name)
        newest[folder.name.split("-")[3]] = submissions[-1]["job"] if submissions else None
    return newest


def _put_gpu_timing(cluster) -> None:
    """A complete run for the GPU, as a host with one would have left it."""
    (sweep,) = (cluster.runs / "sweeps").glob("cpu-gpu-*-gpu")
    (task,) = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))["tasks"]
    (record,) = cluster.records(sweep.name.removesuffix("gpu") + "cpu")
    folder = cluster.runs / "20270101T000000Z-task1-vgg16-abcdef"
    shutil.copytree(cluster.runs / record["id"], folder)
    record |= {"id": folder.name, "sweep": {"name": sweep.name, "task": 1, "key": task["key"]}}
    (folder / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "timing.json").write_text(json.dumps(gpu_timing()), encoding="utf-8")
    subprocess.run(["chown", "--recursive", f"{NAME}:", folder], check=True)


def test_two_jobs_and_one_that_waits_for_both_and_merges_them(cluster):
    said = cluster.xray(f"{COMMAND} {NEVER}")
    assert [line.split()[0] for line in said.splitlines()[:3]] == ["gpu", "cpu", "merged"]
    jobs = _jobs(cluster)
    asked = {name: cluster.as_student("qstat", "-j", str(job)) for name, job in jobs.items()}
    (gpu,) = re.findall(r"hard resource_list: +(\S+)", asked["gpu"])
    assert set(gpu.split(",")) == {"h_rt=1800", "gpus=1", "gpu_c=99.0"}
    for name in ("cpu", "merged"):
        assert re.findall(r"hard resource_list: +(\S+)", asked[name]) == ["h_rt=1800"]
    waits = re.search(r"jid_predecessor_list \(req\): +(\S+)", asked["merged"])
    assert set(waits[1].split(",")) == {str(jobs["gpu"]), str(jobs["cpu"])}
    assert "jid_predecessor_list" not in asked["cpu"]

    cluster.wait(lambda: not cluster.in_queue(jobs["cpu"]), 240, "the CPU's job to end")
    said = cluster.xray(f"{COMMAND} {NEVER} --status")
    assert re.search(r"^gpu +queued\ncpu +complete .*\nmerged +held", said, flags=re.MULTILINE)
    assert cluster.xray(f"{COMMAND} {NEVER}") and _jobs(cluster) == jobs  # nothing anew

    _put_gpu_timing(cluster)
    cluster.as_student("qdel", str(jobs["gpu"]))
    cluster.wait(lambda: not cluster.in_queue(jobs["merged"]), 120, "the merging job to end")
    said = cluster.xray(COMMAND)
    assert re.findall(r"^(gpu|cpu|merged) +(\w+)", said, flags=re.MULTILINE) == [
        *(("gpu", "complete"), ("cpu", "complete"), ("merged", "complete")),
    ]
    assert re.search(r"training, backbone frozen +NVIDIA A100-SXM4-80GB on scc-213 ", said)
    assert "fine-tuning, last 4 layers" in said
    assert _jobs(cluster) == jobs
    merged = Path(re.search(r"For the report: (\S+)", said)[1])
    assert (merged / "nvidia-smi.txt").is_file()
    assert (merged / "figures" / "timing_training.png").is_file()
