"""Grid Engine's commands: `qsub` submits a job, `qstat` says what is in the queue.

They are those of Sun, Open and Son of Grid Engine (manual pages qsub(1), qstat(1), sge_types(1)).
"""

import getpass
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from xray_helpers.errors import KitError

PARALLEL_ENVIRONMENT = "omp"  # its slots are all on one host
ANSWER_SECONDS = 120
NO_PROJECT = "your-project"  # what scc/env.sh says before anybody has changed it
# A job starts in an empty environment: these of ours are given to it. CUDA_VISIBLE_DEVICES never
# is: which GPU a job has, the scheduler says where the job runs.
PASSED_ON = (
    "SCC_PROJECT", "SCC_TERM", "XRAY_SPACE", "XRAY_DATA", "XRAY_KERMANY", "XRAY_CACHE",
    "XRAY_CACHE_GB", "XRAY_WEIGHTS", "XRAY_MODULES", "KERAS_HOME",
)  # fmt: skip


@dataclass(frozen=True)
class Resources:
    """What a job asks for.

    Attributes:
        gpus: GPUs; 0 for a job without.
        gpu_c: the least compute capability of a GPU.
        cores: slots, and so threads.
        hours: after these it is killed.
        project: whose account it runs on; None for $SCC_PROJECT, else the cluster's default.
        modules: modules to load, blanks between; "" for none, None for those of scc/env.sh.
    """

    gpus: int = 1
    gpu_c: float = 7.0
    cores: int = 4
    hours: float = 12.0
    project: str | None = None
    modules: str | None = None

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            KitError: a number that no job can have.
        """
        for name, value, least in (("gpus", self.gpus, 0), ("cores", self.cores, 1)):
            if value < least:
                raise KitError(f"--{name} {value} is not possible; give {least} or more.")
        if not 1 / 3600 <= self.hours <= 10_000:
            raise KitError(f"--hours {self.hours:g} is not possible; give hours, such as 0.5.")
        if not 0 <= self.gpu_c < 1000:
            raise KitError(f"--gpu-c {self.gpu_c:g} is not possible; give a number, such as 7.0.")

    def options(self) -> list[str]:
        """What `qsub` is told: resources, project and environment."""
        seconds = round(self.hours * 3600)
        time = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        options = ["-l", f"h_rt={time}", "-pe", PARALLEL_ENVIRONMENT, str(self.cores)]
        if self.gpus:
            options += ["-l", f"gpus={self.gpus}", "-l", f"gpu_c={self.gpu_c}"]
        project = self.project or os.environ.get("SCC_PROJECT")
        if project and project != NO_PROJECT:
            options += ["-P", project]
        return options + self._environment()

    def _environment(self) -> list[str]:
        given = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        if place := os.environ.get("SCC_ENV") or own_environment():
            given["SCC_ENV"] = place
        if self.modules is not None:
            given["XRAY_MODULES"] = self.modules
        for name, value in given.items():
            if "," in value:
                raise KitError(f"{name} is '{value}'; qsub cannot pass on a comma, so rename it.")
        return [word for name, value in given.items() for word in ("-v", f"{name}={value}")]


def own_environment() -> str | None:
    """The folder of the virtual or conda environment this runs in; None outside of one."""
    signs = (Path(sys.prefix) / "bin" / "activate", Path(sys.prefix) / "conda-meta")
    return sys.prefix if any(sign.exists() for sign in signs) else None


def check_path(path: Path) -> None:
    """Make sure that `qsub` can be told this path.

    Raises:
        KitError: it has a sign in it that means something else to `qsub`.
    """
    if found := re.search(r"[:,$]", str(path)):
        raise KitError(
            f"qsub cannot take '{found[0]}' in a path, as in {path}; name another --runs-dir."
        )


def qsub(options: Sequence[str], script: Path, arguments: Sequence[str]) -> int:
    """Submit a job; its number.

    Raises:
        KitError: there is no `qsub`, it refuses, or it does not answer with a number.
    """
    said = _ask(qsub_command(options, script, arguments)).strip()
    # An array job's is "4711.1-4:1". A cluster may greet before it.
    answer = re.fullmatch(r"(\d+)(\.\d+-\d+:\d+)?", said.splitlines()[-1].strip() if said else "")
    if not answer:
        raise KitError(
            f"qsub answered '{_one_line(said)[:200]}' in place of a job's number; look with "
            f"`qstat -u {getpass.getuser()}` whether there is a job before you try again."
        )
    return int(answer[1])


def qsub_command(options: Sequence[str], script: Path, arguments: Sequence[str]) -> list[str]:
    """The command line that `qsub` runs."""
    return ["qsub", "-terse", *options, str(script), *arguments]


def qdel(job: int, number: int) -> None:
    """Take a task of an array job out of the queue.

    Raises:
        KitError: there is no `qdel`, or it refuses.
    """
    _ask(["qdel", f"{job}.{number}"])


def queue(name: str) -> dict[tuple[int, int], str]:
    """The tasks in the queue of this user's array jobs of that name: (job, SGE_TASK_ID) -> how.

    That is "queued", "held", "running", "error" (it will not start again by itself) or "lost" (its
    host does not answer).

    Raises:
        KitError: there is no `qstat`, it fails, or its answer cannot be read.
    """
    said = _ask(["qstat", "-xml", "-f", "-ne", "-g", "d", "-u", getpass.getuser()])
    try:
        return read_queue(said, name)
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise KitError(f"qstat's answer cannot be read ({error}); try again later.") from error


def read_queue(text: str, name: str) -> dict[tuple[int, int], str]:
    """What `queue` says, out of the XML of `qstat -xml -f -g d`."""
    top = ElementTree.fromstring(text)
    entries = [(entry, "") for entry in top.iterfind("job_info/job_list")]  # not begun
    for place in top.iter("Queue-List"):
        host = place.findtext("state") or ""
        entries += [(entry, host) for entry in place.iter("job_list")]
    return {
        (int(entry.findtext("JB_job_number")), int(entry.findtext("tasks"))): _word(entry, host)
        for entry, host in entries
        if entry.findtext("JB_name") == name and entry.find("tasks") is not None
    }


def _word(entry: ElementTree.Element, host: str) -> str:
    """The letters of qstat's state column, for the job and for its host, in a word."""
    state = entry.findtext("state") or ""
    if "E" in state:
        return "error"
    if "u" in host:
        return "lost"
    if "h" in state:
        return "held"
    return "queued" if "q" in state else "running"


def error_reasons(job: int) -> dict[int, str]:
    """Why tasks of an array job are in error state, by SGE_TASK_ID; what is not known is missing.

    Raises:
        KitError: there is no `qstat`, or it fails.
    """
    try:
        top = ElementTree.fromstring(_ask(["qstat", "-xml", "-j", str(job)]))
    except ElementTree.ParseError:
        return {}
    reasons = {}
    for task in top.iter():
        number, message = task.findtext("JAT_task_number"), task.find(".//QIM_message")
        if number and message is not None:
            # Before it stand a time and "[user:process]: ".
            said = _one_line(message.text or "")
            reasons[int(number)] = said.partition("]: ")[2].removeprefix("error: ") or said
    return reasons


def _ask(command: Sequence[str]) -> str:
    """What a command of Grid Engine answers."""
    name = command[0]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS
        )
    except FileNotFoundError:
        raise KitError(
            f"There is no {name} on this machine; give the command on the cluster's login node, or "
            "run the sweep here with --on local."
        ) from None
    except subprocess.TimeoutExpired:
        raise KitError(f"{name} has not answered for {ANSWER_SECONDS} s; try later.") from None
    except OSError as error:
        raise KitError(f"{name} cannot be started: {error.strerror}.") from error
    if done.returncode:
        said = _one_line((done.stderr.strip() or done.stdout).replace("Exiting.", ""))
        said = said.removeprefix("Unable to run job: ") or f"exit status {done.returncode}"
        raise KitError(
            f"{name} refuses: {said.rstrip('.')}; change what is asked for, or try later."
        )
    return done.stdout


def _one_line(text: str) -> str:
    return " ".join(text.split())
