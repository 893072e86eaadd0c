"""What is asked of `nvidia-smi`, with a stand-in for it."""

import os
import shutil
import time
from pathlib import Path

import pytest

from xray_helpers.errors import KitError
from xray_helpers.training import nvidia_smi

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")

ANSWERS = """
case "$*" in
*--query-gpu=name*) echo "NVIDIA A100-SXM4-80GB, 81920, 535.104.05" ;;
*--query-gpu=utilization*) echo "97, 3210" ;;
*) echo "| NVIDIA-SMI 535.104.05 |" ;;
esac
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Writes a program `nvidia-smi`; gives what it was asked so far."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(nvidia_smi, "INTERVAL_SECONDS", 0.01)
    asked = tmp_path / "asked"

    def write(body: str = ANSWERS) -> Path:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$*" >> "{asked}"\n{body}', encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        return asked

    return write


def test_name_memory_and_driver_are_asked_for_as_csv(stand_in):
    asked = stand_in()
    facts = nvidia_smi.gpu_facts()
    assert facts == {"name": "NVIDIA A100-SXM4-80GB", "memory_mib": 81920, "driver": "535.104.05"}
    assert asked.read_text().split() == [
        "--query-gpu=name,memory.total,driver_version",
        "--format=csv,noheader,nounits",
    ]


@pytest.mark.parametrize(
    ("visible", "option"), [("2", "--id=2"), ("GPU-5d3c,GPU-77aa", "--id=GPU-5d3c"), ("", "")]
)
def test_on_a_shared_node_the_job_s_own_gpu_is_asked(stand_in, monkeypatch, visible, option):
    asked = stand_in()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    nvidia_smi.gpu_facts()
    assert asked.read_text().startswith(option or "--query-gpu")


def test_the_use_is_watched_beside_the_work(stand_in):
    stand_in()
    watch = nvidia_smi.UsageWatch()
    watch.start()
    end = time.monotonic() + 20
    while watch.page is None and time.monotonic() < end:
        time.sleep(0.01)
    watch.stop()
    found = watch.summary()
    assert (found["gpu_busy_percent"], found["gpu_memory_mib"]) == (97, 3210)
    assert found["gpu_samples"] >= 1
    assert watch.page == "| NVIDIA-SMI 535.104.05 |\n"


def test_work_that_is_over_at_once_leaves_no_sample(stand_in, monkeypatch):
    stand_in()
    monkeypatch.setattr(nvidia_smi, "INTERVAL_SECONDS", 60)
    watch = nvidia_smi.UsageWatch()
    watch.start()
    watch.stop()
    assert watch.summary() == {
        "gpu_busy_percent": None,
        "gpu_memory_mib": None,
        "gpu_samples": 0,
    }


def test_what_a_part_of_a_shared_gpu_does_not_say_is_not_known(stand_in):
    stand_in('echo "NVIDIA A100 MIG 1g.5gb, [N/A], 535.1"')
    assert nvidia_smi.gpu_facts()["memory_mib"] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('echo "No devices were found"; exit 6', "ends with an error: No devices were found"),
        ("exit 9", "ends with an error: no message"),
        ("echo hello", "answered 'hello', which is no GPU"),
        ("", "answered '', which is no GPU"),
    ],
)
def test_a_program_that_knows_no_gpu_is_told_in_a_sentence(stand_in, body, said):
    stand_in(body)
    with pytest.raises(KitError, match=said.replace("(", r"\(")):
        nvidia_smi.gpu_facts()


def test_a_machine_without_the_program_is_told_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not shutil.which("nvidia-smi")
    with pytest.raises(KitError, match=r"^There is no nvidia-smi on this machine\.$"):
        nvidia_smi.gpu_facts()
