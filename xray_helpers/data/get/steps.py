"""`xray data get`: agree, fetch, unpack, look, put in place, one after the other."""

import shutil
from collections.abc import Callable
from pathlib import Path

from xray_helpers.data.get.arrange import Arranged, arrange, look
from xray_helpers.data.get.known import Collection, find_collection
from xray_helpers.data.get.place import ORIGIN, is_filled, new_folder, sha256, write_own_file
from xray_helpers.data.get.unpack import Limits, NotIt, take_out
from xray_helpers.data.get.ways import download, forget_downloads
from xray_helpers.errors import KitError
from xray_helpers.fetch import Patience
from xray_helpers.files import write_text
from xray_helpers.paths import cache_folder, resolve


def get_data(
    name: str,
    folder: Path | None = None,
    given: Path | None = None,
    *,
    agree: Callable[[], bool],
    say: Callable[[str], None],
    progress: bool = True,
    patience: Patience = Patience(),  # noqa: B008 - it is frozen
    limits: Limits = Limits(),  # noqa: B008 - it is frozen
) -> Path:
    """Put a collection of pictures into a folder, whole or not at all, and return the folder.

    A folder that already holds it is kept and nothing is fetched. What was fetched is kept in
    `<cache>/downloads` until it is in place, so that an interrupted call is gone on with.

    Args:
        name: in `known.COLLECTIONS`.
        folder: where to put it; None for the collection's own place below the project's folder.
        given: a zip, or a folder it was unpacked to, in place of fetching it.
        agree: asks whether to go on, after size and licence were said; not called for `given`.
        say: shows a line.
        progress: whether bars show how far it is.
        patience: limits of the download.
        limits: of the zip.

    Raises:
        KitError: not agreed, not to be had, damaged, incomplete, or no room; says what to do.
    """
    collection = find_collection(name)
    folder = folder.expanduser().absolute() if folder else resolve(collection.folder)
    if is_filled(folder):
        found = _already(collection, folder)
        say(f"{folder} holds it already; nothing was changed. {' '.join(found.said)}")
        return folder
    say(terms(collection, folder, given))
    downloads = cache_folder() / "downloads"
    source = given
    if source is None:
        if not agree():
            raise KitError("Nothing was fetched, because the licence was not agreed to.")
        try:
            source = download(collection, downloads, patience, progress=progress)
        except KeyboardInterrupt:
            say("\nStopped. Run it again to go on from there, where the server allows it.")
            raise
    try:
        text = "Unpacking" if progress else None
        arranged = _put(collection, source, folder, text, limits, fetched=given is None)
    except NotIt:
        if given is None:  # or it would be taken for whole next time
            forget_downloads(collection.name, downloads)
        raise
    if given is None:
        forget_downloads(collection.name, downloads)
    for sentence in arranged.said:
        say(sentence)
    if collection.variable and folder.resolve() != resolve(collection.folder).resolve():
        say(f"Set {collection.variable}={folder} so that notebooks find it.")
    say(f"{folder} is ready. Next: {collection.next.format(folder=folder)}.")
    return folder


def terms(collection: Collection, folder: Path, given: Path | None) -> str:
    """What to know before agreeing: what it is, how large, whose, and where it goes."""
    size = "" if given else f", {collection.download_mb:,} MB to fetch and unpack"
    return "\n".join(
        (
            f"{collection.title}: {collection.about}{size}",
            f"  from     {given or collection.page}",
            f"  to       {folder}",
            f"  licence  {collection.licence}",
            f"  credit   {collection.credit}",
        )
    )


def _already(collection: Collection, folder: Path) -> Arranged:
    try:
        return look(collection.name, folder)
    except KitError as error:
        raise KitError(
            f"{folder} is there, is not empty and does not hold {collection.title}; name another "
            "folder, or move it away first."
        ) from error


def _put(
    collection: Collection,
    source: Path,
    folder: Path,
    text: str | None,
    limits: Limits,
    *,
    fetched: bool,
) -> Arranged:
    """Unpack, arrange and look beside the folder; only then is it the folder."""
    with new_folder(folder) as new:
        raw = new / "unpacked"
        take_out(source, raw, text=text, limits=limits)
        for inner in sorted(source.glob("*.zip")) if fetched else []:
            take_out(inner, raw / inner.stem, text=text, limits=limits)
        arranged = arrange(collection.name, raw, new)
        shutil.rmtree(raw)
        write_own_file(new / "sources.csv", "source", arranged.sources)
        write_text(new / ORIGIN, _origin(collection, source, arranged, fetched=fetched))
    return arranged


def _origin(collection: Collection, source: Path, arranged: Arranged, *, fetched: bool) -> str:
    """The text that stays with the pictures."""
    checksum = f", SHA-256 {sha256(source)}" if source.is_file() else ""
    lines = [
        f"{collection.title}: {collection.about}.",
        f"From {collection.page if fetched else source.name}{checksum}.",
        f"Licence: {collection.licence}.",
        f"Credit: {collection.credit}.",
        *arranged.said,
    ]
    for heading, names in arranged.listed.items():
        lines += ["", heading, *names]
    return "\n".join(lines) + "\n"
