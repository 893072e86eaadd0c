"""The cluster's scripts, with stand-ins for `module`, `conda` and the kit's Python."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from xray_helpers.cli import main

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.name for path in (ROOT / "scc").iterdir() if path.suffix != ".md")
PAGE = (ROOT / "scc" / "ondemand.md").read_text(encoding="utf-8")
# A conda that is only a program, as where nobody has run `conda init`; what it activates reads a
# variable that is not set, as activation scripts do.
CONDA = """case "$1" in
    shell.bash) echo 'conda() { echo "conda $*$NOBODY_SETS_THIS"; [ "$2" != "$FAKE_MISSING" ]; }' ;;
    *) echo "conda: no shell function" >&2; exit 1 ;;
esac"""
FOLDERS = {
    "XRAY_RUNS": "runs",
    "XRAY_CACHE": "cache",
    "KERAS_HOME": "keras",
    "MPLCONFIGDIR": "matplotlib",
    "CUDA_CACHE_PATH": "cuda",
    "PIP_CACHE_DIR": "pip",
    "CONDA_PKGS_DIRS": "conda",
    "PYTHONUSERBASE": "python",
}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with the scripts, an empty notebook and stand-ins in bin/."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "scc", folder / "scc")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "02_task2.ipynb").touch()
    for name, body in {
        "module": 'echo "module $*"; exit "${FAKE_MODULE_STATUS:-0}"',
        "conda": CONDA,
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
    return _bash([str(spooled), *arguments], project, folder or project, variables)


def _source(
    project: Path, code: str, *, options: str = "", without: str = "", **variables: str
) -> subprocess.CompletedProcess:
    """Run code that sources env.sh, in a shell with these options and without that stand-in."""
    if without:
        (project / "bin" / without).unlink()
    return _bash([*options.split(), "-c", code], project, project, variables)


def _bash(
    words: list[str], project: Path, folder: Path, variables: dict[str, str]
) -> subprocess.CompletedProcess:
    path = f"{project / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"
    environment = {"PATH": path, "HOME": str(project), "XRAY_SPACE": str(project.parent / "space")}
    return subprocess.run(
        ["bash", *words],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
    )


def _variables(printed: str) -> dict[str, str]:
    """What `env` printed."""
    return dict(line.split("=", 1) for line in printed.splitlines() if "=" in line)


def _virtual(folder: Path) -> Path:
    """A folder that looks like a virtual environment."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "activate").write_text('echo "virtual$NOBODY_SETS_THIS"\n', "utf-8")
    return folder


# --- what every script keeps to -----------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS)
def test_bash_reads_the_script(script):
    subprocess.run(["bash", "-n", str(ROOT / "scc" / script)], check=True)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_scheduler_alone_chooses_the_gpu(script):
    text = (ROOT / "scc" / script).read_text(encoding="utf-8")
    assert not re.search(r"CUDA_VISIBLE_DEVICES=|unset\s+CUDA_VISIBLE_DEVICES", text)


# --- env.sh -------------------------------------------------------------------------------------


def test_modules_are_those_that_the_variable_names(project):
    done = _source(project, "source scc/env.sh", XRAY_MODULES="python3/3.12 cuda")
    assert "module load python3/3.12 cuda\n" in done.stdout


def test_no_modules_are_loaded_where_the_variable_is_empty(project):
    done = _source(project, "source scc/env.sh && env", without="module", XRAY_MODULES="")
    assert done.returncode == 0, done.stderr
    assert "module load" not in done.stdout
    assert "XRAY_MODULES=\n" in done.stdout


def test_a_virtual_environment_needs_no_conda(project, tmp_path):
    own = _virtual(tmp_path / "mine")
    done = _source(project, "source scc/env.sh", without="conda", SCC_ENV=str(own))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "virtual"


@pytest.mark.parametrize("name", ["env", "venv"])
def test_a_virtual_environment_in_the_space_is_found(project, name):
    _virtual(project.parent / "space" / name)
    done = _source(project, "source scc/env.sh", without="conda")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "virtual"


def test_a_folder_that_conda_made_is_activated_by_conda(project, tmp_path):
    made = _virtual(tmp_path / "made")  # with bin/activate, as conda's own folder has one
    (made / "conda-meta").mkdir()
    done = _source(project, "source scc/env.sh", SCC_ENV=str(made))
    assert f"conda activate {made}\n" in done.stdout


@pytest.mark.parametrize("options", ["", "-u", "-eu", "-euo pipefail"])
def test_sourcing_leaves_the_shell_as_it_was(project, options):
    look = "{ set -o; compgen -A function; compgen -v; }"
    code = f'before="$({look})"; source scc/env.sh; after="$({look})"; ' + (
        'diff <(echo "$before") <(echo "$after") | grep "^[<>]" || true'
    )
    done = _source(project, code, options=options)
    assert done.returncode == 0, done.stderr
    changed = {line for line in done.stdout.splitlines() if line.startswith(("<", ">"))}
    conda = {"> conda"}  # the function that conda's own hook makes
    new = {f"> {name}" for name in (*FOLDERS, "XRAY_MODULES", "before", "PIPESTATUS", "_")}
    assert changed - new == conda


def test_a_variable_that_is_set_wins(project):
    done = _source(project, "source scc/env.sh; env", XRAY_RUNS="/elsewhere/runs")
    assert _variables(done.stdout)["XRAY_RUNS"] == "/elsewhere/runs"


def test_nothing_of_the_kits_goes_into_home(project):
    seen = _variables(_source(project, "source scc/env.sh; env").stdout)
    space = project.parent / "space"
    assert {name: seen[name] for name in FOLDERS} == {
        name: str(space / folder) for name, folder in FOLDERS.items()
    }
    assert seen["PATH"].endswith(f":{space / 'python' / 'bin'}")


def test_sourcing_twice_is_sourcing_once(project):
    code = "source scc/env.sh; export -p; echo next; source scc/env.sh; export -p"
    once, twice = _source(project, code).stdout.split("next\n")
    assert once == twice


@pytest.mark.parametrize(
    ("variables", "without", "mend"),
    [
        ({"XRAY_SPACE": ""}, "", "your project's name"),
        ({"XRAY_SPACE": "/dev/null/space"}, "", "XRAY_SPACE"),
        ({}, "module", "#!/bin/bash -l"),
        ({"FAKE_MODULE_STATUS": "1"}, "", "module avail"),
        ({}, "conda", "SCC_ENV"),
        ({"SCC_ENV": "nothing", "FAKE_MISSING": "nothing"}, "", "scc/ondemand.md"),
    ],
)
def test_each_failure_is_one_sentence_that_says_where_to_mend_it(project, variables, without, mend):
    done = _source(project, "source scc/env.sh", without=without, **variables)
    assert done.returncode == 1
    assert done.stderr.startswith("scc/env.sh: ")
    assert done.stderr.count("\n") == 1
    assert mend in done.stderr


def test_after_a_failure_the_mended_file_works_in_the_same_shell(project):
    mend = f"sed -i 's,:-your-project,:-cs101,; s,/projectnb,{project},' scc/env.sh"
    done = _source(
        project, f"source scc/env.sh; {mend}; source scc/env.sh && env", XRAY_SPACE="", USER="ann"
    )
    assert done.returncode == 0, done.stderr
    seen = _variables(done.stdout)
    assert seen["SCC_PROJECT"] == "cs101"
    assert seen["XRAY_SPACE"] == str(project / "cs101" / "ann" / "xray")


def test_run_and_not_sourced_it_says_so(project):
    done = _bash(["scc/env.sh"], project, project, {})
    assert done.returncode == 2
    assert "source scc/env.sh" in done.stderr


# --- task.qsub ----------------------------------------------------------------------------------


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
    seen = _variables(done.stdout)
    for name in ("XRAY_DATA", *FOLDERS):
        assert Path(seen[name]).parent == space, name
    assert seen["OMP_NUM_THREADS"] == seen["TF_NUM_INTRAOP_THREADS"] == "3"
    assert seen["CUDA_VISIBLE_DEVICES"] == "2"


def test_job_finds_the_project_where_it_was_submitted(project, tmp_path):
    done = _run(project, "02_task2.ipynb", folder=tmp_path, SGE_O_WORKDIR=str(project))
    assert done.returncode == 0, done.stderr
    assert f"in {project / 'notebooks'}\n" in done.stdout


def test_a_relative_runs_folder_counts_from_the_project(project):
    done = _run(project, "02_task2", JOB_ID="4711", XRAY_RUNS="mine")
    assert f" {project / 'mine' / 'executed' / '4711-02_task2.ipynb'}\n" in done.stdout


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
    assert "your project's name" in done.stderr
    assert "python" not in done.stdout


# --- ondemand.md --------------------------------------------------------------------------------


def _commands() -> list[str]:
    """The `xray` commands that the page shows, in code lines and in backticks."""
    found = re.findall(r"^ *!?(xray .+)$|`(xray [^`]+)`", PAGE, re.MULTILINE)
    return sorted({line or quoted for line, quoted in found})


@pytest.mark.parametrize("line", _commands())
def test_the_page_names_commands_and_options_that_exist(line):
    command: click.Command = main
    words = line.split()[1:]
    while isinstance(command, click.Group):
        assert words and words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, line


def test_the_page_names_every_folder_that_leaves_home():
    assert [name for name in FOLDERS if name not in PAGE] == []
