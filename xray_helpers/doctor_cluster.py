"""What `xray doctor` looks at on a cluster with Grid Engine, besides what it looks at anywhere."""

import os
import re
import shutil
import socket
from collections.abc import Callable

from xray_helpers import doctor_space
from xray_helpers.models.backbones import BACKBONES, PRETRAINED
from xray_helpers.models.weights import weights_folders
from xray_helpers.network import reachable
from xray_helpers.programs import said

Look = Callable[[], tuple[str, str]]  # returns a level ("ok", "note", "problem") and words


def cluster_looks() -> list[tuple[str, Look]]:
    """What to look at, by name: one line off a cluster, all of this module on one."""
    if not on_cluster():
        return [("cluster", lambda: ("ok", "none (no Grid Engine here)"))]
    return [
        ("cluster", _job),
        ("modules", _modules),
        ("project's space", doctor_space.space),
        ("home", doctor_space.home),
        ("quota", doctor_space.quota),
        ("threads", _threads),
        ("GPU", _gpu),
        ("internet", _internet),
    ]


def on_cluster() -> bool:
    """Whether Grid Engine is here: it has set a variable, or a command that only it has is."""
    return "JOB_ID" in os.environ or "SGE_ROOT" in os.environ or bool(shutil.which("qconf"))


def _in_job() -> bool:
    return "JOB_ID" in os.environ


def _job() -> tuple[str, str]:
    host = socket.gethostname()
    if _in_job():
        return "ok", f"job {os.environ['JOB_ID']} on {host}"
    return "note", (
        f"{host}, in no job: this may be a login node, so do not train here but in a session or "
        "with `qsub scc/task.qsub` (see scc/ondemand.md)."
    )


def _modules() -> tuple[str, str]:
    loaded = os.environ.get("LOADEDMODULES", "").replace(":", " ").split()
    wanted = os.environ.get("XRAY_MODULES")
    missing = [w for w in (wanted or "").split() if not _is_loaded(w, loaded)]
    if missing:
        return "note", f"{' '.join(missing)} not loaded any more; `source scc/env.sh` again."
    if loaded:
        return "ok", f"loaded: {' '.join(loaded)}"
    if wanted is not None:
        return "ok", "none wanted (XRAY_MODULES is empty)"
    if not any(name in os.environ for name in ("MODULESHOME", "LMOD_CMD", "MODULES_CMD")):
        return "note", (
            "there is no command `module`; begin job scripts with `#!/bin/bash -l`, or leave the "
            "modules in scc/env.sh empty where a cluster has none."
        )
    return "note", "none loaded; `source scc/env.sh` loads those that it names."


def _is_loaded(module: str, loaded: list[str]) -> bool:
    """Whether a module is loaded, in that version or, where none is named, in any."""
    return any(name == module or name.startswith(f"{module}/") for name in loaded)


def _threads() -> tuple[str, str]:
    text = os.environ.get("NSLOTS", "")
    if not text.isdigit():
        if not _in_job():
            return "ok", "not limited outside a job"
        return "note", "NSLOTS is not set, so all cores are used; ask for some: `-pe omp 4`."
    slots = int(text)
    others = {
        name: int(os.environ[name])
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
        if os.environ.get(name, "").isdigit() and int(os.environ[name]) != slots
    }
    if others:
        said_so = ", ".join(f"{name}={value}" for name, value in others.items())
        return "problem" if max(others.values()) > slots else "note", (
            f"{said_so}, but the job has {slots} slots (NSLOTS); `source scc/env.sh` sets them."
        )
    if hasattr(os, "sched_getaffinity") and slots > (cores := len(os.sched_getaffinity(0))):
        return "note", f"{slots} slots, but only {cores} cores may be used; ask for {cores}."
    return "ok", f"{slots}, one a slot"


def _gpu() -> tuple[str, str]:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given == "-1":
        return "note", "hidden by CUDA_VISIBLE_DEVICES=-1; in a new shell or job it is not."
    try:
        from xray_helpers import quiet_import  # noqa: F401
        from xray_helpers.training.device import device_facts
    except ImportError:
        return "note", "not looked for, because TensorFlow cannot be imported."
    seen = device_facts()["gpus"]
    if given and not seen:
        return "problem", f"CUDA_VISIBLE_DEVICES={given}, but TensorFlow sees none; {_remedy()}"
    if given or not _in_job():
        return "ok", ", ".join(seen) or "none, and none asked for outside a job"
    asked = _gpus_asked()
    if seen and asked == 0:
        return "problem", f"{len(seen)} seen, but the job asked for none; ask: `-l gpus=1`."
    if asked and not seen:
        return "problem", (
            f"{asked} asked for, but the scheduler has set no CUDA_VISIBLE_DEVICES and TensorFlow "
            "sees none; end this job and take another node."
        )
    return "ok", ", ".join(seen) or "none asked for: everything runs on the CPU"


def _remedy() -> str:
    """What to do where the scheduler gave a GPU that TensorFlow does not see."""
    if said("nvidia-smi", "--list-gpus").startswith("GPU"):
        return (
            "`pip install -e '.[gpu]'` in the kit's environment, and if that is done, ask for a "
            "newer GPU (`-l gpu_c=7.0` or more)."
        )
    return "nvidia-smi shows none either, so end this job and take another node."


def _gpus_asked() -> int | None:
    """How many GPUs the job asked for; None where the scheduler does not say."""
    text = said("qstat", "-j", os.environ["JOB_ID"])
    if "job_number" not in text:
        return None
    asked = re.search(r"^hard.resource_list:.*\bn?gpus?=(\d+)", text, re.MULTILINE)
    return int(asked[1]) if asked else 0


def _internet() -> tuple[str, str]:
    missing = [name for name in PRETRAINED if not _has_weights(name)]
    here = reachable(BACKBONES[PRETRAINED[0]].weights_url)
    found = "reachable from here" if here else "not reachable from here"
    if not missing:
        return "ok", f"{found}; the weights are fetched"
    get = f"`xray weights get {' '.join(missing)}`"
    if _in_job():
        return ("ok", found) if here else ("note", f"{found}; on the login node run {get}.")
    if here:
        return "note", f"{found}, perhaps not from jobs; before you submit one run {get}."
    return "note", f"{found}; run {get} where there is internet and copy the files."


def _has_weights(backbone: str) -> bool:
    file = BACKBONES[backbone].weights_file
    return any((folder / file).is_file() for folder in weights_folders())
