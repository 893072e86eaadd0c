"""Is this machine ready for the notebooks? Each line: what was looked at, what was found."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from xray_helpers.cache_room import cache_limit
from xray_helpers.data.dataset import find_source, usual_folder
from xray_helpers.data.pictures import worker_count
from xray_helpers.doctor_cluster import cluster_looks
from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES
from xray_helpers.models.weights import find_file, weights_folders
from xray_helpers.network import reachable
from xray_helpers.paths import cache_folder, project_root, resolve, runs_folder

FREE_GIGABYTES = 3.0


@dataclass(frozen=True)
class Check:
    """One line of the doctor: what it looked at, how that is ("ok", "note", "problem"), in words.

    A problem keeps the notebooks from running; a note is worth knowing.
    """

    what: str
    level: str
    found: str


def examine() -> list[Check]:
    """Look at everything; nothing is changed and nothing is downloaded."""
    return [
        _guarded(what, look)
        for what, look in (
            ("Python", _python),
            ("packages", _packages),
            ("TensorFlow", _tensorflow),
            ("processor", _processor),
            ("project", _project),
            ("pictures", _pictures),
            ("runs folder", lambda: _folder(runs_folder())),
            ("cache folder", _cache),
            ("weights", _weights),
            ("Jupyter kernel", _kernel),
            *cluster_looks(),
        )
    ]


def _guarded(what: str, look: Callable[[], tuple[str, str]]) -> Check:
    try:
        return Check(what, *look())
    except KitError as error:
        return Check(what, "problem", str(error))


def _python() -> tuple[str, str]:
    found = f"{sys.version.split()[0]} in {sys.prefix}"
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return ("ok", found) if good else ("problem", f"{found}; the kit needs 3.11 to 3.13.")


def _packages() -> tuple[str, str]:
    wrong = []
    wanted = [r for r in requires("xray-helpers") or [] if ";" not in r]
    for requirement in wanted:
        name, _, pinned = requirement.partition("==")
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "nothing"
        if installed != pinned:
            wrong.append(f"{name} {installed} in place of {pinned}")
    if wrong:
        return "problem", f"{', '.join(wrong)}; run `pip install -e .` in the project again."
    return "ok", f"{len(wanted)} as pinned"


def _tensorflow() -> tuple[str, str]:
    try:
        from xray_helpers import quiet_import  # noqa: F401
        from xray_helpers.training.device import device_facts
    except ImportError as error:
        return "problem", f"cannot be imported: {error}"
    facts = device_facts()
    gpus = ", ".join(facts["gpus"]) or "no GPU (everything runs on the CPU too)"
    return "ok", f"{version('tensorflow')}, Keras {version('keras')}; {gpus}"


def _processor() -> tuple[str, str]:
    said = f"{worker_count()} threads"
    return "ok", f"{said} ($NSLOTS={os.environ['NSLOTS']})" if "NSLOTS" in os.environ else said


def _project() -> tuple[str, str]:
    root = project_root()
    if (root / "notebooks").is_dir():
        return "ok", str(root)
    return "problem", f"{root} holds no notebooks/; run this in the project's folder."


def _pictures() -> tuple[str, str]:
    named = os.environ.get("XRAY_DATA")
    if named:
        source = find_source()
        return "ok", f"{source.root} ($XRAY_DATA, {source.kind})"
    if usual := usual_folder():
        return "ok", f"{usual} ({find_source(str(usual)).kind})"
    return "note", (
        f"none in {resolve('data')}, so the notebooks draw some (marked as generated); "
        "`xray data get class` fetches the class's"
    )


def _folder(folder: Path) -> tuple[str, str]:
    there = next(p for p in [folder, *folder.parents] if p.exists())
    if not there.is_dir():
        return "problem", f"{there} is a file where a folder should be; move it away."
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return "problem", f"{there} cannot be written ({error.strerror}); name another folder."
    free = shutil.disk_usage(there).free / 1e9
    found = f"{folder}, {free:.1f} GB free"
    return ("ok", found) if free > FREE_GIGABYTES else ("note", f"{found}; that is little.")


def _cache() -> tuple[str, str]:
    limit = cache_limit()
    level, found = _folder(cache_folder())
    return level, f"{found}; features may take {limit / 1e9:g} GB"


def _weights() -> tuple[str, str]:
    named = [b for b in BACKBONES.values() if b.md5]
    here = [b.name for b in named if find_file(b)]
    missing = [b.name for b in named if b.name not in here]
    if not missing:
        return "ok", "ImageNet weights of all backbones are here"
    held = f"here: {', '.join(here) or 'none'}; "
    if reachable(named[0].weights_url):
        return "ok", held + f"fetched when needed: {', '.join(missing)}"
    places = ", ".join(str(f) for f in weights_folders())
    return "note", (
        f"{held}not reachable: {', '.join(missing)}, so these start from random weights (marked); "
        f"run `xray weights get {' '.join(missing)}` where there is internet, or put the files "
        f"into one of {places}"
    )


def _kernel() -> tuple[str, str]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return "problem", "there is no kernel python3; run `python -m ipykernel install --user`."
    program = spec.argv[0]
    if Path(program).is_absolute() and Path(program).resolve() != Path(sys.executable).resolve():
        return "problem", (
            f"python3 is {program}, not this Python ({sys.executable}); run "
            "`python -m ipykernel install --sys-prefix` in the project's environment."
        )
    return "ok", "python3 is this Python"
