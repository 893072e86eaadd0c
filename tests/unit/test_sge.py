"""Sweeps on Grid Engine, with stand-ins for its commands; `tests/cluster/` has the real one.

`grid_engine/*.xml` is what qstat of Son of Grid Engine 8.1.9 has said; reason.xml is shortened.
"""

import json
import os
import re
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from xray_helpers.cli import main
from xray_helpers.errors import KitError
from xray_helpers.paths import project_root
from xray_helpers.sweep import Plan, SweepFolder, Task, save_sweep, sge
from xray_helpers.sweep.sge import Resources, Submission
from xray_helpers.sweep.submitted import next_list, remember

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = Path(__file__).parent / "grid_engine"
NAME = "02_task2-1a2b3c4d"  # the sweep that the answers are about
NOTHING = (
    "<?xml version='1.0'?>\n<job_info><queue_info></queue_info><job_info></job_info></job_info>"
)

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")

# Each call is a line, its words with tabs between; a job's number is 100 and the calls so far.
QSUB = """\
(IFS="\t"; echo "$*") >> "$GRID/qsub.calls"
number=$((100 + $(wc -l < "$GRID/qsub.calls")))
case " $* " in *" -t "*) echo "$number.1-9:1" ;; *) echo "$number" ;; esac
"""
QSTAT = """\
case " $* " in *" -j "*) cat "$GRID/reason.xml" ;; *) cat "$GRID/queue.xml" ;; esac
"""
QDEL = 'echo "$*" >> "$GRID/qdel.calls"'


class Grid:
    """Stand-ins on the PATH, what they answer, and how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, body in {"qsub": QSUB, "qstat": QSTAT, "qdel": QDEL}.items():
            self.command(name, body)
        self.queue(NOTHING)
        shutil.copy(ANSWERS / "reason.xml", folder)

    def command(self, name: str, body: str) -> None:
        file = self.folder / "bin" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    def without(self, name: str) -> None:
        """Take a stand-in away, and /usr/bin, where a real one may be."""
        (self.folder / "bin" / name).unlink()
        os.environ["PATH"] = str(self.folder / "bin")

    def queue(self, answer: str) -> None:
        (self.folder / "queue.xml").write_text(answer, encoding="utf-8")

    def calls(self, name: str = "qsub") -> list[list[str]]:
        file = self.folder / f"{name}.calls"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        return [line.split("\t") for line in text.splitlines()]


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    monkeypatch.setenv("GRID", str(tmp_path / "grid"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'grid' / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    for name in [name for name in os.environ if name.startswith(("SCC_", "XRAY_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.setenv("SCC_ENV", "/space/env")
    return Grid(tmp_path / "grid")


def _sweep(tmp_path: Path, count: int = 9, name: str = NAME) -> SweepFolder:
    tasks = [
        Task(n, "02_task2", {"seed": n}, f"seed={n}", f"{n:012x}") for n in range(1, count + 1)
    ]
    return save_sweep(Plan(name, tuple(tasks)), tmp_path / "runs")


def _end(sweep: SweepFolder, number: int, status: str = "complete") -> None:
    """A run of a task, and how it has ended."""
    name = f"20260101T00000{number}Z-{status}"
    record = {"id": name, "status": status, "sweep": sweep.mark(sweep.task(number))}
    (sweep.runs / name).mkdir()
    (sweep.runs / name / "run.json").write_text(json.dumps(record), encoding="utf-8")


def _submitted(sweep: SweepFolder, job: int, *tasks: int) -> None:
    """A job of the sweep, from before."""
    listed = next_list(sweep)
    listed.parent.mkdir(exist_ok=True)
    listed.touch()
    remember(listed, Submission(job, tasks), Resources())


def _answer(name: str) -> str:
    return (ANSWERS / f"{name}.xml").read_text(encoding="utf-8")


def _numbers(sweep: SweepFolder) -> str:
    """The newest list of tasks."""
    newest = sorted((sweep.folder / "submitted").glob("*.txt"))[-1]
    return newest.read_text(encoding="utf-8")


# --- what is submitted --------------------------------------------------------------------------


def test_a_sweep_is_one_array_job_and_one_that_waits_for_it(grid, tmp_path):
    sweep = _sweep(tmp_path, 4)
    said: list[str] = []
    asked = Resources(gpus=2, gpu_c=7.5, cores=8, hours=1.5, project="course")
    assert sge.submit(sweep, asked, said.append) == Submission(101, (1, 2, 3, 4), 102)
    usual = ["-terse", "-N", f"xray-{NAME}", "-wd", str(project_root()), "-j", "y"]
    usual += ["-o", str(sweep.folder / "jobs")]
    rest = ["-P", "course", "-v", "SCC_ENV=/space/env", str(ROOT / "scc" / "sweep_array.qsub")]
    array, collecting = grid.calls()
    assert array == [
        *[*usual, "-t", "1-4", "-l", "h_rt=1:30:00", "-pe", "omp", "8"],
        *["-l", "gpus=2", "-l", "gpu_c=7.5", *rest],
        *[str(sweep.folder), str(sweep.folder / "submitted" / "0001.txt")],
    ]
    assert collecting == [
        *[*usual, "-hold_jid", "101", "-l", "h_rt=1:00:00", "-pe", "omp", "1", *rest],
        str(sweep.folder),
    ]
    assert _numbers(sweep) == "1\n2\n3\n4\n"
    assert (sweep.folder / "jobs").is_dir()
    assert "job 101 runs 4 tasks" in said[0]
    assert str(sweep.folder / "summary.txt") in said[1]


def test_only_what_is_missing_is_submitted(grid, tmp_path):
    """In queue.xml run the third and fourth task of job 6, its fifth is held, and two of 9 wait."""
    sweep = _sweep(tmp_path)
    _submitted(sweep, 6, 1, 2, 3, 5, 8)
    _submitted(sweep, 9, 7, 9)
    _end(sweep, 1)
    _end(sweep, 2, "failed")
    _end(sweep, 6, "started")
    grid.queue(_answer("queue"))
    assert sge.submit(sweep, Resources()).tasks == (2, 4, 6)
    array, collecting = grid.calls()
    assert array[array.index("-t") + 1] == "1-3"
    assert array[-1] == str(sweep.folder / "submitted" / "0003.txt")
    assert _numbers(sweep) == "2\n4\n6\n"
    # The table is to hold what the older jobs do, too.
    assert collecting[collecting.index("-hold_jid") + 1] == "6,9,101"


def test_what_was_killed_is_submitted_again_once_it_is_gone(grid, tmp_path):
    sweep = _sweep(tmp_path, 2)
    sge.submit(sweep, Resources())
    _end(sweep, 1)
    _end(sweep, 2, "started")  # a record that nobody completes any more
    assert sge.submit(sweep, Resources()).tasks == (2,)
    assert _numbers(sweep) == "2\n"


def test_a_task_that_runs_outside_the_queue_is_left_alone(grid, tmp_path):
    sweep = _sweep(tmp_path, 2)
    with sweep.lock(sweep.task(1)):
        assert sge.submit(sweep, Resources()).tasks == (2,)


def test_nothing_left_is_said_and_nothing_submitted(grid, tmp_path):
    sweep = _sweep(tmp_path, 2)
    _end(sweep, 1)
    _submitted(sweep, 6, 9, 9, 2)  # the third of job 6 runs
    grid.queue(_answer("queue"))
    said: list[str] = []
    assert sge.submit(sweep, Resources(), said.append) is None
    _end(sweep, 2)
    assert sge.submit(sweep, Resources(), said.append) is None
    assert "in the queue or running" in said[0]
    assert "all tasks are complete" in said[1]
    assert grid.calls() == []


def test_two_commands_at_once_submit_once(grid, tmp_path):
    sweep = _sweep(tmp_path, 2)
    # Slow, and the job is in the queue only when qsub has answered.
    grid.command("qsub", f'sleep 0.3\n{QSUB}\ncp "$GRID/after.xml" "$GRID/queue.xml"')
    after = _answer("queue").replace("<JB_job_number>9<", "<JB_job_number>101<")
    (grid.folder / "after.xml").write_text(after, encoding="utf-8")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: sge.submit(sweep, Resources(), str), range(2)))
    assert done.count(None) == 1
    assert len(grid.calls()) == 2  # an array, and one that collects


def test_jobs_may_wait_for_others_and_go_without_collecting(grid, tmp_path):
    sweep = _sweep(tmp_path, 1)
    assert sge.submit(sweep, Resources(), hold=[7, 8], collect=False).collecting is None
    (array,) = grid.calls()
    assert array[array.index("-hold_jid") + 1] == "7,8"


# --- what a job is given ------------------------------------------------------------------------


def test_a_job_gets_the_kits_variables_and_never_a_gpus_number(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("XRAY_SPACE", "/space of mine")
    monkeypatch.setenv("XRAY_DATA", "/pictures")
    monkeypatch.setenv("XRAY_MODULES", "not these")
    sge.submit(_sweep(tmp_path, 1), Resources(modules=""))
    for call in grid.calls():
        given = {call[i + 1] for i, word in enumerate(call) if word == "-v"}
        assert given == {
            "XRAY_SPACE=/space of mine", "XRAY_DATA=/pictures", "SCC_ENV=/space/env",
            "XRAY_MODULES=",
        }  # fmt: skip
        assert "-V" not in call  # would pass on everything
        assert "CUDA" not in " ".join(call)


def test_a_job_uses_the_environment_that_submits_it(grid, tmp_path, monkeypatch):
    monkeypatch.delenv("SCC_ENV")
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "activate").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "env"))
    assert f"SCC_ENV={tmp_path / 'env'}" in Resources().options()
    monkeypatch.setattr("sys.prefix", "/usr")
    assert not any("SCC_ENV" in word for word in Resources().options())


def test_the_project_is_the_one_given_or_that_of_the_shell(grid, monkeypatch):
    assert "-P" not in Resources().options()
    monkeypatch.setenv("SCC_PROJECT", "your-project")
    assert "-P" not in Resources().options()
    monkeypatch.setenv("SCC_PROJECT", "mine")
    assert Resources().options()[-6:-4] == ["-P", "mine"]
    assert "given" in Resources(project="given").options()


def test_without_gpus_none_is_asked_for(grid):
    words = " ".join(Resources(gpus=0, hours=0.01).options())
    assert "gpu" not in words
    assert "h_rt=0:00:36" in words


@pytest.mark.parametrize(
    "wrong", [{"gpus": -1}, {"cores": 0}, {"hours": 0}, {"hours": float("nan")}, {"gpu_c": -7}]
)
def test_impossible_resources_are_refused_by_name(wrong):
    with pytest.raises(KitError, match=f"--{next(iter(wrong)).replace('_', '-')} "):
        Resources(**wrong)


def test_a_run_on_more_gpus_than_asked_for_is_refused(grid, tmp_path):
    tasks = (Task(1, "02_task2", {"devices": 2}, "devices=2", "0" * 12),)
    sweep = save_sweep(Plan(NAME, tasks), tmp_path / "runs")
    assert "--gpus 2" in _refusal(sweep)
    assert sge.submit(sweep, Resources(gpus=2)).tasks == (1,)


# --- what the queue says ------------------------------------------------------------------------


def test_states_are_those_of_the_sweeps_tasks(grid, tmp_path):
    sweep = _sweep(tmp_path)
    assert sge.queue_states(sweep) == {}
    _submitted(sweep, 6, 1, 2, 3, 5, 8)
    _submitted(sweep, 9, 7, 9)
    grid.queue(_answer("queue"))
    assert sge.queue_states(sweep) == {
        3: "running", 5: "running", 8: "held", 7: "queued", 9: "queued",
    }  # fmt: skip
    assert sge.jobs_of(sweep) == [6, 9]


def test_jobs_of_another_sweep_or_with_a_number_used_again_are_not_ours(grid, tmp_path):
    other = _sweep(tmp_path, name="other")
    _submitted(other, 6, 1, 2, 3, 4, 5)  # job 6 is not called so
    _submitted(other, 7, 2)
    grid.queue(_answer("queue"))
    assert sge.queue_states(other) == {}  # its name in queue.xml is "other", not "xray-other"
    grid.queue(_answer("queue").replace(">other<", ">xray-other<"))
    assert sge.queue_states(other) == {2: "queued"}


def test_a_task_in_error_state_says_why_and_is_taken_back_and_submitted_again(grid, tmp_path):
    sweep = _sweep(tmp_path, 3)
    _submitted(sweep, 9, 1, 3)
    grid.queue(_answer("error"))
    why = 'error: can\'t open output file "/nothing/there": No such file or directory'
    assert sge.queue_states(sweep) == {1: why, 3: why}
    _end(sweep, 1)
    assert sge.submit(sweep, Resources()).tasks == (2, 3)
    assert grid.calls("qdel") == [["9.2"]]


def test_a_task_whose_host_does_not_answer_is_submitted_again(grid, tmp_path):
    sweep = _sweep(tmp_path, 3)
    _submitted(sweep, 5, 1, 2, 3)
    grid.queue(_answer("lost"))
    gone = "lost: its host does not answer"
    assert sge.queue_states(sweep) == {1: gone, 2: gone, 3: "queued"}
    assert sge.submit(sweep, Resources()).tasks == (1, 2)
    assert grid.calls("qdel") == [["5.1"], ["5.2"]]


def test_the_newest_place_of_a_task_is_shown(grid, tmp_path):
    """Task 1 stands in the queue twice: lost with its host, and submitted again."""
    sweep = _sweep(tmp_path, 1)
    _submitted(sweep, 5, 1)
    _submitted(sweep, 5, 2, 2, 1)
    grid.queue(_answer("lost"))
    assert sge.queue_states(sweep)[1] == "queued"
    assert sge.submit(sweep, Resources()) is None


# --- what goes wrong ----------------------------------------------------------------------------


def _refusal(sweep: SweepFolder) -> str:
    with pytest.raises(KitError) as refused:
        sge.submit(sweep, Resources())
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_no_qsub_here(grid, tmp_path):
    grid.without("qsub")
    assert _refusal(_sweep(tmp_path, 1)).startswith("There is no qsub on this machine; ")


def test_a_qsub_that_refuses(grid, tmp_path):
    sweep = _sweep(tmp_path, 1)
    grid.command(
        "qsub", 'echo "Unable to run job: unknown resource \\"gpus\\"\nExiting." >&2; exit 1'
    )
    assert _refusal(sweep).startswith('qsub refuses: unknown resource "gpus"; ')
    grid.command("qsub", "exit 25")
    assert _refusal(sweep).startswith("qsub refuses: exit status 25; ")
    assert not list((sweep.folder / "submitted").glob("*.json"))


@pytest.mark.parametrize("answer", ["", "Welcome!", "Your job 12 has been submitted", "12 13"])
def test_a_qsub_that_answers_with_no_number(grid, tmp_path, answer):
    grid.command("qsub", f"echo '{answer}'")
    assert f"qsub answered '{answer}' in place of a job's number" in _refusal(_sweep(tmp_path, 1))


def test_a_greeting_before_the_number_is_passed_over(grid, tmp_path):
    grid.command("qsub", "echo 'Welcome to the cluster'; echo 4711.1-1:1")
    assert sge.submit(_sweep(tmp_path, 1), Resources()).job == 4711


def test_a_collecting_job_that_is_refused_leaves_the_tasks_submitted(grid, tmp_path):
    sweep = _sweep(tmp_path, 2)
    grid.command("qsub", f'case "$*" in *-hold_jid*) exit 1 ;; esac\n{QSUB}')
    said: list[str] = []
    assert sge.submit(sweep, Resources(), said.append) == Submission(101, (1, 2), None)
    assert "was not submitted" in " ".join(said)
    remembered = json.loads((sweep.folder / "submitted" / "0001.json").read_text())
    assert (remembered["job"], remembered["tasks"]) == (101, [1, 2])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("exit 1", "qstat refuses: exit status 1"),
        ("echo none", "qstat's answer cannot be read"),
        ("echo '<job_info><job_info><job_list><JB_name>xray-02_task2-1a2b3c4d</JB_name><tasks/>"
         "</job_list></job_info></job_info>'", "qstat's answer cannot be read"),
    ],
)  # fmt: skip
def test_a_queue_that_cannot_be_read_submits_nothing(grid, tmp_path, body, said):
    sweep = _sweep(tmp_path, 1)
    _submitted(sweep, 9, 1)
    grid.command("qstat", body)
    assert said in _refusal(sweep)
    assert grid.calls() == []


@pytest.mark.parametrize("sign", [":", ",", "$"])
def test_a_path_that_qsub_would_misread_is_refused(grid, tmp_path, sign):
    (tmp_path / f"a{sign}b").mkdir()
    assert f"cannot take '{sign}'" in _refusal(_sweep(tmp_path / f"a{sign}b", 1))


def test_a_variable_with_a_comma_is_refused_by_name(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_DATA", "/a,b")
    assert _refusal(_sweep(tmp_path, 1)).startswith("XRAY_DATA is '/a,b'; ")


def test_a_broken_note_of_a_submission_is_named(grid, tmp_path):
    sweep = _sweep(tmp_path, 1)
    _submitted(sweep, 9, 1)
    (sweep.folder / "submitted" / "0001.json").write_text("{")
    assert "0001.json cannot be read" in _refusal(sweep)


def test_the_command_line_says_it_in_one_sentence(grid, tmp_path):
    grid.without("qsub")
    _sweep(tmp_path, 1)
    words = ["sweep", "--name", NAME, "--on", "sge", "--runs-dir", str(tmp_path / "runs")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert done.stderr.startswith("xray: There is no qsub on this machine; ")
    assert done.stderr.count("\n") == 1


# --- a dry run ----------------------------------------------------------------------------------


def test_a_dry_run_shows_table_commands_and_script_and_writes_nothing(grid, tmp_path):
    sweep = _sweep(tmp_path, 3)
    _end(sweep, 2, "failed")
    before = sorted(tmp_path.rglob("*"))
    shown = sge.dry_run(sweep, Resources(hours=2))
    assert sorted(tmp_path.rglob("*")) == before
    assert grid.calls() == []
    assert re.search(r"^ +2  02_task2  seed=2  failed$", shown, flags=re.MULTILINE)
    assert re.search(r"^qsub -terse .* -t 1-3 -l h_rt=2:00:00 ", shown, flags=re.MULTILINE)
    assert re.search(r"^qsub -terse .* -hold_jid JOB ", shown, flags=re.MULTILINE)
    assert (ROOT / "scc" / "sweep_array.qsub").read_text(encoding="utf-8") in shown
    assert shown.endswith("Nothing was submitted.")


def test_a_dry_run_needs_no_cluster(grid, tmp_path):
    for name in ("qsub", "qstat", "qdel"):
        grid.without(name)
    tasks = (Task(1, "02_task2", {}, "02_task2", "0" * 12),)
    never_begun = SweepFolder(tmp_path / "runs" / "sweeps" / NAME, Plan(NAME, tasks))
    assert "-t 1-1" in sge.dry_run(never_begun, Resources())
    begun = _sweep(tmp_path, 1)
    _submitted(begun, 9, 1)
    assert "The queue was not asked: There is no qstat" in sge.dry_run(begun, Resources())


# --- the job's script ---------------------------------------------------------------------------

SCRIPT = ROOT / "scc" / "sweep_array.qsub"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder, a sweep in `sweep/`, and a stand-in for Python in bin/."""
    folder = tmp_path / "project"
    (folder / "scc").mkdir(parents=True)
    (folder / "scc" / "env.sh").write_text("echo environment; [ -z $NO_ENV ]\n", encoding="utf-8")
    (folder / "sweep").mkdir()
    (folder / "sweep" / "sweep.json").touch()
    (folder / "sweep" / "0001.txt").write_text("2\n7\n11\n", encoding="utf-8")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        '#!/bin/sh\necho "python $* GPU=$CUDA_VISIBLE_DEVICES"; exit ${FAKE_STATUS:-0}\n'
    )
    python.chmod(0o755)
    return folder


def _job(project: Path, *words: str, folder: Path | None = None, **variables: str):
    """Run the script as a job does: a copy of it, elsewhere."""
    spooled = project.parent / "spooled"
    shutil.copy(SCRIPT, spooled)
    return subprocess.run(
        ["bash", str(spooled), *words],
        cwd=folder or project,
        env={"PATH": f"{project / 'bin'}:/usr/bin:/bin"} | variables,
        capture_output=True,
        text=True,
    )


def test_an_array_task_runs_its_line_of_the_list_and_says_all_in_its_log(project):
    sweep = project / "sweep"
    environment = {"SGE_TASK_ID": "3", "JOB_ID": "12", "NSLOTS": "4", "CUDA_VISIBLE_DEVICES": "6"}
    done = _job(project, str(sweep), str(sweep / "0001.txt"), FAKE_STATUS="75", **environment)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "")
    assert [path.name for path in sweep.glob("*.log")] == ["0011.log"]
    said = (sweep / "0011.log").read_text(encoding="utf-8").splitlines()
    assert said[0] == "environment"
    assert re.fullmatch(r"Job 12 on \S+, 4 slots, GPU 6", said[1])
    assert said[2] == f"python -m xray_helpers.sweep.run_task {sweep} 11 GPU=6"


def test_the_log_is_the_one_that_the_sweep_reads(tmp_path):
    sweep = _sweep(tmp_path, 11)
    assert sweep.log(sweep.task(11)).name == "0011.log"


def test_why_the_environment_failed_is_in_the_tasks_log(project):
    sweep = project / "sweep"
    done = _job(project, str(sweep), str(sweep / "0001.txt"), SGE_TASK_ID="1", NO_ENV="x")
    assert done.returncode == 1
    assert (sweep / "0002.log").read_text(encoding="utf-8") == "environment\n"


def test_by_hand_it_runs_a_task_or_collects(project):
    done = _job(project, "sweep", "7")
    assert "Job (by hand) on " in done.stdout
    assert "python -m xray_helpers.sweep.run_task sweep 7 " in done.stdout
    collected = _job(project, "sweep", SGE_TASK_ID="undefined")
    assert "python -m xray_helpers.sweep.collect sweep " in collected.stdout


def test_a_job_finds_the_project_where_it_was_submitted(project, tmp_path):
    done = _job(project, str(project / "sweep"), folder=tmp_path, SGE_O_WORKDIR=str(project))
    assert done.returncode == 0, done.stderr
    lost = _job(project, str(project / "sweep"), folder=tmp_path)
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("words", [(), ("nowhere",), ("sweep", "sweep/0001.txt")])
def test_a_job_says_what_it_was_not_told(project, words):
    done = _job(project, *words, SGE_TASK_ID="9")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_scheduler_alone_chooses_the_gpu():
    text = SCRIPT.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash -l\n")  # without -l there is no `module`
    assert not re.search(r"CUDA_VISIBLE_DEVICES=|unset\s+CUDA_VISIBLE_DEVICES", text)
    assert not re.search(r"^#\$ -o", text, flags=re.MULTILINE)  # a file of its own for each task
