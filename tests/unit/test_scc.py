"""The cluster's scripts, with stand-ins for `module`, `conda` and the kit's Python."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("env.sh", "task.qsub")

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with the scripts, an empty notebook and stand-ins in bin/."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "scc", folder / "scc")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "02_task2.ipynb").touch()
    for name, body in {
        "module": 'echo "module $*"',
        "conda": 'echo "conda $*"',
        "python": 'echo "python $*"; echo "in $PWD"; env; exit "${FAKE_STATUS:-0}"',
    }.items():
        stand_in = folder / "bin" / name
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        stand_in.chmod(0o755)
    return folder


def _run(
    project: Path, *arguments: str, folder: Path | None = None, **variables: str
) -> subprocess.CompletedProcess:
    """Run task.qsub as a job does: a copy of it, elsewhere."""
    spooled = project.parent / "spooled"
    shutil.copy(project / "scc" / "task.qsub", spooled)
    path = f"{project / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    environment = {"PATH": path, "HOME": str(project), "XRAY_SPACE": str(project.parent / "space")}
    return subprocess.run(
        ["bash", str(spooled), *arguments],
        cwd=folder or project,
        env=environment | variables,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_reads_the_script(script):
    subprocess.run(["bash", "-n", str(ROOT / "scc" / script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scheduler_alone_chooses_the_gpu(script):
    text = (ROOT / "scc" / script).read_text(encoding="utf-8")
    assert not re.search(r"CUDA_VISIBLE_DEVICES=|unset\s+CUDA_VISIBLE_DEVICES", text)


def test_job_header_asks_for_what_the_cluster_wants():
    lines = (ROOT / "scc" / "task.qsub").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/bin/bash -l"  # without -l there is no `module`
    options = {line.removeprefix("#$ ") for line in lines if line.startswith("#$ ")}
    wanted = {"-j y", "-cwd", "-l h_rt=12:00:00", "-pe omp 4", "-l gpus=1", "-l gpu_c=7.0"}
    assert wanted <= options
    assert any(option.startswith("-P ") for option in options)
    assert any(option.startswith("-N ") for option in options)


def test_job_runs_the_notebook_through_papermill(project):
    done = _run(project, "02_task2", "-p", "backbone", "resnet50", JOB_ID="4711", NSLOTS="4")
    executed = project.parent / "space" / "runs" / "executed" / "4711-02_task2.ipynb"
    assert done.returncode == 0, done.stderr
    assert (
        "python -m papermill --no-progress-bar --log-output "
        f"02_task2.ipynb {executed} -p backbone resnet50\n"
    ) in done.stdout
    assert f"in {project / 'notebooks'}\n" in done.stdout
    assert executed.parent.is_dir()


def test_job_loads_the_terms_modules_and_environment(project):
    done = _run(project, "02_task2", SCC_TERM="fall-2031")
    assert "module load miniconda academic-ml/fall-2031\n" in done.stdout
    assert "conda activate fall-2031-tf\n" in done.stdout


def test_job_prefers_the_kits_own_environment(project):
    own = project.parent / "space" / "env"
    own.mkdir(parents=True)
    assert f"conda activate {own}\n" in _run(project, "02_task2").stdout


def test_job_keeps_caches_out_of_home_and_threads_to_its_slots(project):
    space = project.parent / "space"
    (space / "data" / "two").mkdir(parents=True)
    done = _run(project, "02_task2", NSLOTS="3", CUDA_VISIBLE_DEVICES="2")
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    for name in ("XRAY_DATA", "XRAY_RUNS", "XRAY_CACHE", "KERAS_HOME", "PIP_CACHE_DIR"):
        assert Path(seen[name]).parent == space, name
    assert seen["OMP_NUM_THREADS"] == seen["TF_NUM_INTRAOP_THREADS"] == "3"
    assert seen["CUDA_VISIBLE_DEVICES"] == "2"


def test_job_finds_the_project_where_it_was_submitted(project, tmp_path):
    done = _run(project, "02_task2.ipynb", folder=tmp_path, SGE_O_WORKDIR=str(project))
    assert done.returncode == 0, done.stderr
    assert f"in {project / 'notebooks'}\n" in done.stdout


def test_job_fails_when_the_notebook_fails(project):
    assert _run(project, "02_task2", FAKE_STATUS="7").returncode == 7


@pytest.mark.parametrize("arguments", [(), ("09_nothing",)])
def test_job_says_what_is_wrong_with_its_notebook(project, arguments):
    done = _run(project, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "python" not in done.stdout


def test_job_says_that_the_project_has_to_be_named(project):
    done = _run(project, "02_task2", XRAY_SPACE="")
    assert done.returncode == 1
    assert "set SCC_PROJECT" in done.stderr
