"""Which weights a backbone starts from, and the files that hold them."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.fetch import FetchError, Patience, fetch
from xray_helpers.models.backbones import BACKBONES, PRETRAINED, Backbone
from xray_helpers.network import reachable
from xray_helpers.paths import cache_folder, resolve


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
            f"reached from here; run `xray weights get {backbone}` where there is internet (on a "
            "cluster: on the login node) or put the file into one of these folders, or use "
            "weights='auto'."
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


def find_file(backbone: Backbone, folders: Sequence[Path] | None = None) -> Path | None:
    """The ImageNet weights file of `backbone`, checked, or None where there is none.

    Args:
        backbone: whose.
        folders: where to look; None for `weights_folders`.

    Raises:
        KitError: a file of that name has another MD5 (cut short, or of another version).
    """
    for folder in folders or weights_folders():
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


def get_weights(
    names: Sequence[str],
    to: Path | None,
    *,
    say: Callable[[str], None],
    progress: bool = True,
    patience: Patience = Patience(),  # noqa: B008 - it is frozen
) -> None:
    """Fetch ImageNet weights, for a machine that has no internet when a notebook runs.

    A file with the right MD5 that is there is kept.

    Args:
        names: backbones, or "all".
        to: folder; None for the first of `weights_folders` that can be written.
        say: shows a line.
        progress: whether bars show how far it is.
        patience: limits of the download.

    Raises:
        KitError: an unknown name; a file that is there has another MD5; it cannot be fetched.
    """
    chosen = [BACKBONES[name] for name in _known(names)]
    folder = to or next(_writable_folders(), None)
    if folder is None:
        places = ", ".join(str(path) for path in weights_folders())
        raise KitError(f"None of {places} can be written; name a folder with --to.")
    for backbone in chosen:
        here = find_file(backbone, [folder] if to else None)
        if here:
            say(f"{backbone.name}: {here} is there, and right.")
            continue
        path = folder / backbone.weights_file
        try:
            fetch(
                backbone.weights_url,
                path,
                checksum=f"md5:{backbone.md5}",
                text=f"Fetching {backbone.name}" if progress else None,
                patience=patience,
            )
        except FetchError as error:
            raise KitError(
                f"The weights of {backbone.name} could not be fetched: {error}. Run it again (on a "
                f"cluster: on a login node), or get {backbone.weights_url} with a browser and put "
                f"it into {folder}."
            ) from error
        say(f"{backbone.name}: {path}")
    if folder.resolve() not in [path.resolve() for path in weights_folders()]:
        say(f"Set XRAY_WEIGHTS={folder} so that notebooks find them.")


def _known(names: Sequence[str]) -> list[str]:
    """Names of backbones that have weights, each once; "all" is all of them.

    Raises:
        KitError: there is no such backbone, or it has no weights.
    """
    for name in names:
        if name in BACKBONES and name not in PRETRAINED:
            raise KitError(f"{name} is trained from scratch: it has no weights to fetch.")
        if name not in (*PRETRAINED, "all"):
            raise KitError(
                f"There is no backbone {name!r}; it is one of {', '.join(PRETRAINED)}, or all."
            )
    return list(PRETRAINED) if "all" in names else list(dict.fromkeys(names))


def _writable_folders() -> Iterator[Path]:
    """Those of `weights_folders` that can be written; each is made."""
    for folder in weights_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            yield folder


def _download(
    backbone: Backbone,
    url: str | None = None,
    patience: Patience = Patience(tries=3),  # noqa: B008 - it is frozen
) -> Path | None:
    """Fetch the weights of `backbone` into the first folder that can be written; None offline."""
    url = url or backbone.weights_url
    if not reachable(url):
        return None
    folder = next(_writable_folders(), None)
    if folder is None:
        return None
    try:
        return fetch(
            url,
            folder / backbone.weights_file,
            checksum=f"md5:{backbone.md5}",
            text=f"Fetching the weights of {backbone.name}",
            patience=patience,
        )
    except (FetchError, KitError):  # whatever went wrong on the way, there are no weights
        return None
