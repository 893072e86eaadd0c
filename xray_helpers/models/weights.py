"""Which weights a backbone starts from, and the files that hold them."""

import hashlib
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from xray_helpers.errors import KitError
from xray_helpers.models.backbones import BACKBONES, Backbone
from xray_helpers.paths import cache_folder, resolve

CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Weights:
    """What a backbone starts from.

    Attributes:
        kind: what the record says: "imagenet", "random", "none" (trained from scratch) or the
            path of a file.
        file: the file to load, or None.
        note: one sentence for the student when this is not ImageNet, else "".
    """

    kind: str
    file: Path | None = None
    note: str = ""


def find_weights(backbone: str, setting: str = "auto") -> Weights:
    """Decide where the weights of `backbone` come from.

    Args:
        backbone: a name in `BACKBONES`.
        setting: "auto" (ImageNet where a file is at hand or can be fetched, else random),
            "imagenet", "random", or the path of a weights file.

    Raises:
        KitError: the named file does not exist; "imagenet" and no file can be had; a file of the
            right name has the wrong MD5.
    """
    info = BACKBONES[backbone]
    if info.keras_name is None:
        if setting == "imagenet":
            raise KitError(
                f"weights='imagenet': backbone='{backbone}' is trained from scratch and has no "
                "ImageNet weights; use weights='auto'."
            )
        if setting in ("auto", "random"):
            return Weights("none")
    if setting == "random":
        return Weights("random", note=_RANDOM_NOTE.format(reason="as weights='random' asks"))
    if setting not in ("auto", "imagenet"):
        check_setting(setting)
        return Weights(str(resolve(setting)), resolve(setting))
    file = find_file(info) or _download(info)
    if file is not None:
        return Weights("imagenet", file)
    if setting == "imagenet":
        raise KitError(
            f"weights='imagenet': {info.weights_file} (MD5 {info.md5}) is not in "
            f"{' or '.join(str(f) for f in weights_folders())}, and {info.weights_url} cannot be "
            "reached from here; download it on a machine with internet (on a cluster: on the "
            "login node) and put it into one of these folders, or use weights='auto'."
        )
    return Weights(
        "random", note=_RANDOM_NOTE.format(reason="no ImageNet weights are here or reachable")
    )


_RANDOM_NOTE = (
    "Random weights ({reason}): the backbone has learnt nothing from other pictures, so accuracies "
    "are lower than with ImageNet weights. The run is marked and is not a result to report."
)


def check_setting(setting: str) -> None:
    """Stop where the setting `weights` is neither a word it may be nor a file.

    Raises:
        KitError: says so.
    """
    if setting not in ("auto", "imagenet", "random") and not resolve(setting).is_file():
        raise KitError(
            f"weights='{setting}': there is no file {resolve(setting)}; "
            "use auto, imagenet, random or the path of a weights file."
        )


def weights_folders() -> list[Path]:
    """Where weights files are looked for, in this order."""
    keras_home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    named = os.environ.get("XRAY_WEIGHTS")
    return ([resolve(named)] if named else []) + [
        Path(keras_home) / "models",
        cache_folder() / "weights",
    ]


def find_file(backbone: Backbone) -> Path | None:
    """The ImageNet weights file of `backbone`, checked, or None where there is none.

    Raises:
        KitError: a file of that name has another MD5 (cut short, or of another version).
    """
    for folder in weights_folders():
        path = folder / backbone.weights_file
        if path.is_file():
            digest = md5(path)
            if digest != backbone.md5:
                raise KitError(
                    f"{path} is not the weights file it should be: its MD5 is {digest} in place "
                    f"of {backbone.md5}; delete it and fetch it again."
                )
            return path
    return None


def md5(path: Path) -> str:
    """MD5 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def reachable(url: str, seconds: float = CONNECT_SECONDS) -> bool:
    """Whether a connection to the host of `url` opens within `seconds`, name look-up included."""
    parts = urlsplit(url)
    address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
    opened = threading.Event()

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=seconds).close()
        except OSError:
            return
        opened.set()

    # A thread, because the look-up of a host's name has no time limit of its own.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return opened.is_set()


def _download(backbone: Backbone, url: str | None = None) -> Path | None:
    """Fetch the weights of `backbone` into the first folder that can be written; None offline."""
    url = url or backbone.weights_url
    if not reachable(url):
        return None
    from xray_helpers.quiet_import import keras

    for folder in weights_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if not os.access(folder, os.W_OK):
            continue
        partial = f"{backbone.weights_file}.{os.getpid()}.part"
        try:
            # Fetched under another name, so that a cut download never has the name of a whole one.
            keras.utils.get_file(
                partial,
                url,
                cache_dir=str(folder),
                cache_subdir="",
                file_hash=backbone.md5,
                hash_algorithm="md5",
            )
            return (folder / partial).replace(folder / backbone.weights_file)
        except Exception:  # whatever went wrong on the way, there are no weights
            return None
        finally:
            (folder / partial).unlink(missing_ok=True)
    return None
