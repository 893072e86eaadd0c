"""Fetching a collection from where it is kept, into a folder of downloads.

Google Drive is left to gdown and Kaggle to kagglehub, which know their pages. Files with an
address, figshare's among them, are fetched by `fetch`: figshare's web addresses answer programs
with a riddle for browsers (status 202), its API does not.
"""

import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

from xray_helpers.data.get.known import Collection, Way
from xray_helpers.disk import check_room
from xray_helpers.errors import KitError
from xray_helpers.fetch import FetchError, Patience, fetch
from xray_helpers.network import host, reachable
from xray_helpers.progress import progress_bar

FIGSHARE = "https://api.figshare.com/v2"
DRIVE = "https://drive.google.com"
KAGGLE = "https://www.kaggle.com"


def download(
    collection: Collection, downloads: Path, patience: Patience, *, progress: bool = True
) -> Path:
    """Fetch a collection from the first place that hands it out: a zip, or a folder of files.

    Raises:
        KitError: none does; says why not, and how to get it by hand.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    here = sum(path.stat().st_size for path in downloads.glob(f"{collection.name}-*"))
    check_room(downloads, collection.download_mb * 1_000_000 - here)
    text = f"Fetching {collection.name}" if progress else None
    reasons = []
    for number, way in enumerate(collection.ways, start=1):
        # A name of its own each: what came from one place is not gone on with from another.
        target = downloads / f"{collection.name}-{number}.zip"
        try:
            return _WAYS[way.kind](way, target, text, patience)
        except FetchError as error:
            if str(error) not in reasons:
                reasons.append(str(error))
    _remove_if_empty(downloads)
    raise KitError(
        f"{collection.title} could not be fetched: {'; '.join(reasons)}. Run it again later (on a "
        f"cluster: on a login node), or get it {collection.by_hand()}."
    )


def forget_downloads(name: str, downloads: Path) -> None:
    """Remove what was fetched of a collection, and the folder where nothing else is in it."""
    for path in downloads.glob(f"{name}-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    _remove_if_empty(downloads)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _from_url(way: Way, target: Path, text: str | None, patience: Patience) -> Path:
    return fetch(way.where, target, checksum=way.checksum, text=text, patience=patience)


def _from_figshare(way: Way, target: Path, text: str | None, patience: Patience) -> Path:
    """All files of an article, each with the MD5 that figshare tells; a single zip as itself."""
    import requests

    address = f"{FIGSHARE}/articles/{way.where}/files"
    if not reachable(address, patience.connect):
        raise FetchError(f"{host(address)} cannot be reached from here")
    try:
        answer = requests.get(address, timeout=(patience.connect, patience.stall))
        answer.raise_for_status()
        files = [(Path(f["name"]).name, f["id"], f["computed_md5"]) for f in answer.json()]
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise FetchError(f"{host(address)} does not list the files ({error})") from error
    if not files or not all(name for name, _, _ in files):
        raise FetchError(f"{host(address)} lists no files at {address}")
    folder = target.with_suffix("")
    for name, number, md5 in files:
        url = f"{FIGSHARE}/file/download/{number}"
        fetch(url, folder / name, checksum=f"md5:{md5}", text=text, patience=patience)
    return folder / files[0][0] if len(files) == 1 else folder


def _from_drive(way: Way, target: Path, text: str | None, patience: Patience) -> Path:
    """A file of Google Drive; gdown keeps what has come so far as `<name>….part`."""
    import requests

    if zipfile.is_zipfile(target):  # gdown names it so only when it is whole
        return target
    try:
        import gdown
        from gdown.exceptions import DownloadError, FileURLRetrievalError
    except ImportError as error:
        raise FetchError(
            "Google Drive was not tried, for want of gdown (pip install -e . in the project)"
        ) from error

    if not reachable(DRIVE, patience.connect):
        raise FetchError(f"{host(DRIVE)} cannot be reached from here")

    def one_try() -> None:
        with progress_bar(text, None, unit="megabyte") as bar:

            def show(size: int, total: int | None) -> None:
                bar.total = total // 1_000_000 if total else None
                bar.update(size // 1_000_000 - bar.n)

            gdown.download(
                id=way.where,
                output=str(target),
                quiet=True,
                resume=True,
                use_cookies=False,
                retries=patience.tries - 1,
                timeout=(patience.connect, patience.stall),
                progress=show,
            )

    before = _parts(target)
    try:
        try:
            one_try()
        except DownloadError:
            if not before or _parts(target) != before:
                raise  # a first part is here, or it grew: gone on with next time
            for part in before:  # it is of no use to the server: from the start, once
                part.unlink()
            one_try()
    except FileURLRetrievalError as error:
        raise FetchError(
            "Google Drive does not hand it out (too many downloads today, or no longer shared)"
        ) from error
    except (DownloadError, requests.RequestException, KeyError) as error:
        raise FetchError(f"the download from Google Drive broke off ({_line(error)})") from error
    if not zipfile.is_zipfile(target):
        target.unlink()
        raise FetchError("Google Drive sends something else in place of the zip")
    return target


def _parts(target: Path) -> dict[Path, int]:
    """What gdown has kept of unfinished downloads of `target`, with the sizes."""
    return {p: p.stat().st_size for p in target.parent.glob(f"{target.name}*.part")}


def _from_kaggle(way: Way, target: Path, text: str | None, patience: Patience) -> Path:
    """A dataset of Kaggle, which kagglehub goes on with, checks and unpacks itself."""
    if not reachable(KAGGLE, patience.connect):
        raise FetchError(f"{host(KAGGLE)} cannot be reached from here")
    try:
        import kagglehub
    except ImportError as error:
        raise FetchError(
            "Kaggle was not tried, for want of kagglehub (pip install -e '.[kaggle]')"
        ) from error
    # Its cache and not an `output_dir`, in which it does not go on with what is there.
    before = os.environ.get("KAGGLEHUB_CACHE")
    os.environ["KAGGLEHUB_CACHE"] = str(target.with_suffix(""))
    try:
        return Path(kagglehub.dataset_download(way.where))
    except Exception as error:  # kagglehub's, requests' and zipfile's own, and kagglesdk's
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status in (401, 403) or type(error).__name__ == "UnauthenticatedError":
            reason = "Kaggle wants an account: put a token into ~/.kaggle, see its settings page"
        else:
            reason = f"the download from Kaggle failed ({_line(error)})"
        raise FetchError(reason) from error
    finally:
        os.environ.pop("KAGGLEHUB_CACHE")
        if before is not None:
            os.environ["KAGGLEHUB_CACHE"] = before


def _line(error: Exception) -> str:
    """An error in a few words."""
    text = " ".join(str(error).split())
    with suppress(ValueError):
        text = text[: text.index(" The received bytes")]
    return text[:160].rstrip(". ") or type(error).__name__


_WAYS = {
    "url": _from_url,
    "drive": _from_drive,
    "figshare": _from_figshare,
    "kaggle": _from_kaggle,
}
