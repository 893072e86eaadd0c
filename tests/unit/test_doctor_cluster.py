"""The doctor on a cluster, with stand-ins for its commands, its variables and TensorFlow."""

import errno
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from xray_helpers import doctor_cluster, doctor_space
from xray_helpers.models.weights import BACKBONES, weights_folders
from xray_helpers.quota import Quota, home_quota, read_pquota, read_quota, space_quota

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Grid Engine's stand-ins are sh scripts")

SCC_QUOTA = """Home Directory Usage and Quota:
Name           GB    quota    limit in_doubt    grace |    files    quota    limit in_doubt  grace
ann       3.72791     10.0     11.0      0.0     none |  115,486  200,000  200,000        0   none
"""
LINUX_QUOTA = """Disk quotas for user ann (uid 1001):
     Filesystem   space   quota   limit   grace   files   quota   limit   grace
      /dev/sda1     20K       0       0               4       0       0
fileserver.example.org:/export/home
                  10.5G*    10G     11G   6days   12345       0       0
"""
PQUOTA = """                                      quota     quota       usage     usage
project space                          (GB)    (files)       (GB)   (files)
-----------------------------------  ------  ---------  ---------  --------
/projectnb/cs101                       1000   32768000     18.25     90,123
/projectnb/cs101/labs                    50   32768000     49.50     90,123
"""


@pytest.fixture(autouse=True)
def bare(tmp_path, monkeypatch) -> Path:
    """No cluster: an empty home, no command in reach, none of the variables. Returns bin/."""
    for folder in ("bin", "home", "space"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        *("JOB_ID", "SGE_ROOT", "NSLOTS", "CUDA_VISIBLE_DEVICES", "LOADEDMODULES", "MODULESHOME"),
        *("LMOD_CMD", "MODULES_CMD", "XRAY_MODULES", "XRAY_SPACE", "OMP_NUM_THREADS"),
        *("TF_NUM_INTRAOP_THREADS", "XRAY_CACHE_GB"),
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("MPLCONFIGDIR", "CUDA_CACHE_PATH", "PIP_CACHE_DIR", "CONDA_PKGS_DIRS"):
        monkeypatch.setenv(name, str(tmp_path / "space" / name))
    return tmp_path / "bin"


@pytest.fixture
def command(bare):
    """Makes a stand-in that prints a text and exits with a status."""

    def make(name: str, text: str = "", status: int = 0) -> None:
        program = bare / name
        program.write_text(f"#!/bin/sh\necho '{text}'\nexit {status}\n", encoding="utf-8")
        program.chmod(0o755)

    return make


@pytest.fixture
def gpus(monkeypatch):
    """Says which GPUs TensorFlow sees."""

    def see(*names: str) -> None:
        facts = SimpleNamespace(device_facts=lambda: {"gpus": list(names)})
        monkeypatch.setitem(sys.modules, "xray_helpers.quiet_import", SimpleNamespace())
        monkeypatch.setitem(sys.modules, "xray_helpers.training.device", facts)

    return see


@pytest.fixture
def job(monkeypatch) -> None:
    monkeypatch.setenv("JOB_ID", "4711")
    monkeypatch.setenv("NSLOTS", "2")


# --- where it looks -----------------------------------------------------------------------------


def test_off_a_cluster_the_doctor_has_one_line_about_it():
    looks = dict(doctor_cluster.cluster_looks())
    assert list(looks) == ["cluster"]
    assert looks["cluster"]() == ("ok", "none (no Grid Engine here)")


@pytest.mark.parametrize("sign", ["JOB_ID", "SGE_ROOT", "qconf"])
def test_a_cluster_is_known_by_its_variables_or_its_command(sign, command, monkeypatch):
    if sign == "qconf":
        command(sign)
    else:
        monkeypatch.setenv(sign, "1")
    looks = [what for what, _ in doctor_cluster.cluster_looks()]
    assert {"modules", "project's space", "home", "quota", "threads", "GPU", "internet"} < set(
        looks
    )


def test_whoever_is_in_no_job_is_told_not_to_train(monkeypatch):
    level, found = doctor_cluster._job()
    assert level == "note" and "do not train here" in found
    monkeypatch.setenv("JOB_ID", "4711")
    assert doctor_cluster._job()[0] == "ok"


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "level", "word"),
    [
        ({}, "note", "#!/bin/bash -l"),
        ({"MODULESHOME": "/opt/modules"}, "note", "source scc/env.sh"),
        ({"XRAY_MODULES": ""}, "ok", "none wanted"),
        ({"XRAY_MODULES": "miniconda", "LOADEDMODULES": "miniconda/24.5:x/1"}, "ok", "x/1"),
        ({"XRAY_MODULES": "mini cuda", "LOADEDMODULES": "miniconda/24.5"}, "note", "mini cuda not"),
        ({"XRAY_MODULES": "cuda/13", "LOADEDMODULES": "cuda/12"}, "note", "cuda/13 not loaded"),
    ],
)
def test_modules(variables, level, word, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = doctor_cluster._modules()
    assert found[0] == level and word in found[1]


# --- disks --------------------------------------------------------------------------------------


def test_a_space_is_set_there_writable_and_not_in_home(tmp_path, monkeypatch):
    level, found = doctor_space.space()
    assert level == "note" and "source scc/env.sh" in found
    for folder, expected in (
        ("space", "ok"),
        ("nowhere", "problem"),
        ("home", "note"),
    ):
        monkeypatch.setenv("XRAY_SPACE", str(tmp_path / folder))
        level, found = doctor_space.space()
        assert level == expected, found
        assert str(tmp_path / folder) in found


@pytest.fixture
def full_disk(monkeypatch):
    """A disk whose quota is used up: a file can be made, but nothing be written into it."""

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, _):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir: Full())


def test_a_full_quota_is_noticed_before_jupyter_meets_it(full_disk, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_SPACE", str(tmp_path / "space"))
    for look in (doctor_space.space, doctor_space.home):
        level, found = look()
        assert level == "problem" and os.strerror(errno.EDQUOT) in found


def test_looking_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_SPACE", str(tmp_path / "space"))
    for look in (doctor_space.space, doctor_space.home, doctor_space.quota):
        look()
    assert not any(list((tmp_path / name).iterdir()) for name in ("space", "home"))
    assert not any((tmp_path / name).exists() for name in ("runs", "cache", "keras"))


def test_a_home_without_anything_of_the_kits_is_well():
    assert doctor_space.home()[0] == "ok"


def test_what_lies_in_home_is_measured_and_what_will_is_said(tmp_path, monkeypatch):
    cache = tmp_path / "home" / "cache"
    cache.mkdir()
    with (cache / "kept").open("wb") as file:
        file.truncate(1_500_000_000)  # a sparse file: nothing is written
    (cache / "again").symlink_to(cache / "kept")
    monkeypatch.setenv("XRAY_CACHE", str(cache))
    monkeypatch.setenv("XRAY_CACHE_GB", "7")
    monkeypatch.delenv("PIP_CACHE_DIR")
    level, found = doctor_space.home()
    assert level == "note"
    assert "cache 1.5, pip 0.0 GB of the kit's go there (features may take 7 GB)" in found
    assert "runs" not in found
    monkeypatch.setattr(doctor_space, "_MEASURING_SECONDS", -1.0)
    assert "at least" in doctor_space.home()[1]


def test_the_home_quota_is_read_as_the_scc_and_as_linux_print_it():
    assert read_quota(SCC_QUOTA) == [Quota(3.72791e9, 10e9)]
    assert read_quota(LINUX_QUOTA) == [Quota(10.5 * 2**30, 10 * 2**30)]
    assert read_quota("Disk quotas for user ann (uid 1001): none\n") == []
    assert read_quota("quota: command not set up\n") == []


def test_the_spaces_quota_is_that_of_the_innermost_space():
    assert read_pquota(PQUOTA, Path("/projectnb/cs101/ann/xray")) == Quota(18.25e9, 1000e9)
    assert read_pquota(PQUOTA, Path("/projectnb/cs101/labs/ann")) == Quota(49.5e9, 50e9)
    assert read_pquota(PQUOTA, Path("/projectnb/cs1010/ann")) is None
    assert read_pquota("no such thing", Path("/projectnb/cs101")) is None


def test_quotas_come_from_the_clusters_commands(command):
    assert home_quota() is None
    assert space_quota(Path("/projectnb/cs101/ann")) is None
    command("quota", LINUX_QUOTA, status=1)  # it is over its limit
    command("pquota", PQUOTA)
    assert home_quota() == Quota(10.5 * 2**30, 10 * 2**30)
    assert space_quota(Path("/projectnb/cs101/ann")) == Quota(18.25e9, 1000e9)


def test_little_left_of_a_quota_is_a_note(command):
    command("quota", SCC_QUOTA)
    assert "home 3.7 of 10.0 GB used" in doctor_space.quota()[1]
    command("quota", SCC_QUOTA.replace("3.72791", "9.72791"))
    level, found = doctor_space.quota()
    assert level == "note" and "9.7 of 10.0 GB" in found and "delete" in found


def test_without_a_quota_command_the_free_space_is_not_called_ours():
    found = doctor_space.quota()[1]
    assert "home " in found and "space " in found
    assert "GB free on a disk that others share" in found


# --- threads ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "level", "word"),
    [
        ({"JOB_ID": "4711"}, "note", "-pe omp"),
        ({}, "ok", "outside a job"),
        ({"NSLOTS": "1", "OMP_NUM_THREADS": "1"}, "ok", "1, one a slot"),
        ({"NSLOTS": "1", "OMP_NUM_THREADS": "64"}, "problem", "OMP_NUM_THREADS=64"),
        ({"NSLOTS": "4", "TF_NUM_INTRAOP_THREADS": "1"}, "note", "TF_NUM_INTRAOP_THREADS=1"),
        pytest.param(
            *({"NSLOTS": "999999"}, "note", "999999 slots, but only"),
            marks=pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only"),
        ),
    ],
)
def test_threads_go_with_the_slots(variables, level, word, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = doctor_cluster._threads()
    assert found[0] == level and word in found[1]


# --- the GPU ------------------------------------------------------------------------------------

ASKED = "job_number: 4711\nhard resource_list:         h_rt=7200,gpus=2,gpu_c=7.0"
ASKED_NONE = "job_number: 4711\nhard resource_list:         h_rt=7200"


def test_a_gpu_that_the_scheduler_gave_and_tensorflow_sees_is_named(job, gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    gpus("Tesla V100")
    assert doctor_cluster._gpu() == ("ok", "Tesla V100")


def test_a_gpu_that_tensorflow_does_not_see_is_a_problem_with_its_remedy(
    job, gpus, command, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    gpus()
    level, found = doctor_cluster._gpu()
    assert level == "problem" and "another node" in found
    command("nvidia-smi", "GPU 0: Tesla V100")
    level, found = doctor_cluster._gpu()
    assert level == "problem" and "pip install -e '.[gpu]'" in found


def test_a_gpu_asked_for_and_not_given_is_a_problem(job, gpus, command):
    gpus()
    command("qstat", ASKED)
    level, found = doctor_cluster._gpu()
    assert level == "problem" and "2 asked for" in found
    command("qstat", ASKED_NONE)
    assert doctor_cluster._gpu() == ("ok", "none asked for: everything runs on the CPU")


def test_a_gpu_seen_but_not_asked_for_is_somebody_elses(job, gpus, command):
    gpus("Tesla V100")
    command("qstat", ASKED_NONE)
    level, found = doctor_cluster._gpu()
    assert level == "problem" and "asked for none" in found
    command("qstat", ASKED)
    assert doctor_cluster._gpu()[0] == "ok"
    command("qstat", "denied: host is no submit host", status=1)  # then nobody knows
    assert doctor_cluster._gpu()[0] == "ok"


def test_a_gpu_hidden_on_purpose_is_a_note(job, gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    gpus()
    assert doctor_cluster._gpu()[0] == "note"


def test_outside_a_job_no_gpu_is_missed(gpus):
    gpus()
    assert doctor_cluster._gpu()[0] == "ok"


# --- internet -----------------------------------------------------------------------------------


def test_weights_are_to_be_fetched_before_a_node_without_internet_needs_them(monkeypatch):
    monkeypatch.setattr(doctor_cluster, "reachable", lambda url: True)
    level, found = doctor_cluster._internet()
    assert level == "note" and "before you submit" in found and "`xray weights get vgg16 " in found
    monkeypatch.setenv("JOB_ID", "4711")
    assert doctor_cluster._internet() == ("ok", "reachable from here")
    monkeypatch.setattr(doctor_cluster, "reachable", lambda url: False)
    level, found = doctor_cluster._internet()
    assert level == "note" and "on the login node" in found
    for backbone in BACKBONES.values():
        if backbone.md5:
            path = weights_folders()[0] / backbone.weights_file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert doctor_cluster._internet()[0] == "ok"
