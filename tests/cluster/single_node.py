"""A Grid Engine on this machine alone, from Debian's packages: for tests, as root.

It has what an SCC-style cluster has: the parallel environment `omp`, the resources `gpus` (counted
down) and `gpu_c` (a minimum), a project, job scripts that are started as what their first line
says, and a prolog that sets CUDA_VISIBLE_DEVICES in place of a scheduler with GPUs. To be rid of
it: `apt-get purge gridengine-common gridengine-master gridengine-exec gridengine-client`.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

PACKAGES = ("gridengine-master", "gridengine-exec", "gridengine-client")
COMMON = Path("/var/lib/gridengine/default/common")
EXECD_PID = Path("/var/run/gridengine/execd.pid")
HOST = "localhost"
SLOTS = 2
PROJECT = "xray-course"
GPU = "7"  # the number the scheduler gives; no code here could think of it
START_SECONDS = 60

PARALLEL_ENVIRONMENT = f"""\
pe_name            omp
slots              {SLOTS}
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    $pe_slots
control_slaves     FALSE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
"""
PROJECT_ENTRY = f"""\
name {PROJECT}
oticket 0
fshare 0
acl NONE
xacl NONE
"""
COMPLEXES = """\
gpus  gpus  INT     <=  YES  JOB  0  0
gpu_c gpu_c DOUBLE  <=  YES  NO   0  0
"""
PROLOG = f"""\
#!/bin/sh
echo "CUDA_VISIBLE_DEVICES={GPU}" >> "$SGE_JOB_SPOOL_DIR/environment"
"""


class Unavailable(Exception):
    """Why there can be no Grid Engine here."""


def set_up(folder: Path) -> None:
    """Install, configure and start it; what is there already stays.

    Args:
        folder: where its prolog goes, and the mark that says that it is ours.

    Raises:
        Unavailable: not root, no Debian, packages out of reach, or a Grid Engine of somebody else.
    """
    _install(folder / "grid-engine-is-ours")
    aliases = f"{HOST} {socket.gethostname()}\n"  # a name that resolves to 127.0.0.1 is HOST
    new = not (COMMON / "host_aliases").exists()
    (COMMON / "host_aliases").write_text(aliases, encoding="utf-8")
    _service("gridengine-master", "restart" if new else "start")
    _wait_for(lambda: _ask("qconf", "-sh").returncode == 0, "the master of Grid Engine")
    _ask("qconf", "-as", HOST)
    start_host()
    _configure(folder)


def start_host() -> None:
    """Start what runs jobs here, and wait until the master knows of it."""
    _service("gridengine-exec", "start")
    _wait_for(lambda: HOST in _ask("qconf", "-sel").stdout, "the execution host")


def lose_host() -> None:
    """End what runs jobs here, and the jobs' shepherds, as a power cut would."""
    execd = int(EXECD_PID.read_text(encoding="utf-8"))
    shepherds = _ask("ps", "--ppid", str(execd), "-o", "pid=").stdout.split()
    for pid in (execd, *map(int, shepherds)):
        os.kill(pid, signal.SIGKILL)
    EXECD_PID.unlink()


def _install(mark: Path) -> None:
    if os.geteuid() != 0:
        raise Unavailable("needs root, to install a Grid Engine on this machine")
    if shutil.which("qconf") and mark.exists():
        return
    if shutil.which("qconf"):
        raise Unavailable("there is a Grid Engine here that these tests have not set up")
    if not shutil.which("apt-get"):
        raise Unavailable("needs Debian's packages of Grid Engine")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    for command in (install, ["apt-get", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if command is install and done.returncode == 0:
            mark.touch()
            return
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise Unavailable(f"Debian's packages of Grid Engine cannot be installed: {last}")


def _configure(folder: Path) -> None:
    known = _ask("qconf", "-sc").stdout.splitlines()
    lines = [line for line in known if line.split()[0] not in ("gpus", "gpu_c")]
    _qconf("-Mc", "\n".join([*lines, COMPLEXES]))
    _ask("qconf", "-mattr", "exechost", "complex_values", f"gpus={SLOTS},gpu_c=9.0", HOST)
    _add_or_change("p", "omp", PARALLEL_ENVIRONMENT)
    _add_or_change("prj", PROJECT, PROJECT_ENTRY)
    prolog = folder / "prolog"
    prolog.write_text(PROLOG, encoding="utf-8")
    prolog.chmod(0o755)
    queue = _changed(
        _ask("qconf", "-sq").stdout,
        qname="all.q",
        hostlist=HOST,
        load_thresholds="NONE",  # else a busy machine gets no job
        pe_list="omp",
        slots=str(SLOTS),
        shell_start_mode="unix_behavior",
        prolog=f"root@{prolog}",
    )
    _add_or_change("q", "all.q", queue)
    at_once = {"schedule_interval": "0:0:2", "flush_submit_sec": "1", "flush_finish_sec": "1"}
    _qconf("-Msconf", _changed(_ask("qconf", "-ssconf").stdout, **at_once))
    quick = {
        # A host that says nothing for so long is lost.
        "load_report_time": "00:00:05",
        "max_unheard": "00:00:15",
        "reporting_params": "accounting=true accounting_flush_time=00:00:00 reporting=false "
        "flush_time=00:00:01 joblog=false sharelog=00:00:00",
    }
    _qconf("-Mconf", _changed(_ask("qconf", "-sconf").stdout, **quick), name="global")


def _add_or_change(kind: str, name: str, text: str) -> None:
    there = _ask("qconf", f"-s{kind}", name).returncode == 0
    _qconf(f"-{'M' if there else 'A'}{kind}", text)


def _changed(text: str, **values: str) -> str:
    """`text` with the lines of some names replaced."""
    lines = [line for line in text.splitlines() if line.split()[:1] and line[0] not in "# "]
    kept = [line for line in lines if line.split()[0] not in values]
    return "\n".join([*kept, *(f"{name} {value}" for name, value in values.items())]) + "\n"


def _qconf(option: str, text: str, name: str = "entry") -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text, encoding="utf-8")
        done = _ask("qconf", option, str(file))
    assert done.returncode == 0, f"qconf {option}: {done.stdout}{done.stderr}"


def _service(name: str, what: str) -> None:
    subprocess.run([f"/etc/init.d/{name}", what], check=True, capture_output=True)


def _ask(*command: str) -> subprocess.CompletedProcess:
    whole_lines = {**os.environ, "SGE_SINGLE_LINE": "1"}
    return subprocess.run(command, env=whole_lines, capture_output=True, text=True)


def _wait_for(is_there: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + START_SECONDS
    while not is_there():
        assert time.monotonic() < end, f"{what} has not started in {START_SECONDS} s"
        time.sleep(0.5)
