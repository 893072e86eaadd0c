"""One file from the internet to the disk: gone on with after a cut, checked, whole or not at all.

What has come so far lies beside the target as `<name>.part`, so that the same call later goes on
from there where the server allows it. It is gone on with only if a checksum is known: without one,
nothing would tell a file put together of two editions.
"""

import errno
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from xray_helpers.disk import alone, check_room, digest
from xray_helpers.errors import KitError
from xray_helpers.network import CONNECT_SECONDS, host, reachable
from xray_helpers.progress import progress_bar

if TYPE_CHECKING:
    import requests

CHUNK = 256 * 1024  # bytes


@dataclass(frozen=True)
class Patience:
    """How long a download waits, and how often it begins again.

    Attributes:
        connect: seconds for a connection to open.
        stall: seconds without a byte after which a connection counts as broken.
        tries: connections in all.
        pause: seconds between two of them.
    """

    connect: float = CONNECT_SECONDS
    stall: float = 30.0
    tries: int = 6
    pause: float = 2.0


class FetchError(Exception):
    """Why a file could not be had: a part of a sentence, to which the caller adds what to do."""


class _Broken(Exception):
    """A connection that may do better when it is tried again."""


def fetch(
    url: str,
    target: Path,
    *,
    checksum: str | None = None,
    text: str | None = None,
    patience: Patience = Patience(),
) -> Path:
    """Put the file at `url` to `target` and return that; a right file that is there is kept.

    Two processes that want the same file do not disturb each other: one waits.

    Args:
        url: http or https.
        target: the file's place; its folder is made.
        checksum: "md5:…" or "sha256:…" that the file must have.
        text: of the progress bar; None for none.
        patience: limits.

    Raises:
        FetchError: it cannot be had from there. What has come so far stays, as `<name>.part`,
            where it can be gone on with.
        KitError: the disk has no room, or the folder cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KitError(f"{target.parent} cannot be made ({error.strerror}).") from error
    with alone(target, text):
        if checksum and target.is_file() and digest(target, checksum) == checksum:
            return target
        part = part_of(target)
        if checksum is None:
            part.unlink(missing_ok=True)
        if not reachable(url, patience.connect):
            raise FetchError(f"{host(url)} cannot be reached from here")
        went_on = part.is_file()
        _receive(url, part, text, patience)
        if checksum and went_on and digest(part, checksum) != checksum:
            part.unlink()  # the file has changed since its first half came
            _receive(url, part, text, patience)
        if checksum and (found := digest(part, checksum)) != checksum:
            part.unlink()
            raise FetchError(
                f"what {host(url)} sends is another file: its checksum is {found} in place of "
                f"{checksum}"
            )
        return part.replace(target)


def part_of(target: Path) -> Path:
    """Where what has come so far of `target` lies."""
    return target.with_name(f"{target.name}.part")


def _receive(url: str, part: Path, text: str | None, patience: Patience) -> None:
    """Fill `part` to the end, with as many connections as it takes and patience allows."""
    for last in [False] * (patience.tries - 1) + [True]:
        try:
            return _go_on(url, part, text, patience)
        except _Broken as broken:
            if last:
                raise FetchError(f"{broken}, {patience.tries} times over") from broken
            time.sleep(patience.pause)


def _go_on(url: str, part: Path, text: str | None, patience: Patience) -> None:
    """One connection: ask for what `part` still lacks and append it."""
    import requests
    from urllib3.exceptions import HTTPError

    have = part.stat().st_size if part.is_file() else 0
    # As it is, not compressed on the way: places in the file have to be those on the disk.
    headers = {"Accept-Encoding": "identity", "User-Agent": "xray-helpers"}
    headers |= {"Range": f"bytes={have}-"} if have else {}
    limits = (patience.connect, patience.stall)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=limits) as answer:
            if answer.status_code == 416:  # nothing lies beyond what is here
                if answer.headers.get("Content-Range") != f"bytes */{have}":
                    part.unlink()
                    raise _Broken(f"{host(url)} has a shorter file than what is here")
                return
            start, total = _place(answer)
            if start not in (0, have):
                part.unlink()
                raise _Broken(f"{host(url)} sends another part of the file than it is asked for")
            first = answer.raw.read1(CHUNK)
            if start == 0:
                _refuse_page(first, url)
            if total:
                check_room(part.parent, total - start)
            size = _append(answer, part, start, first, total, text)
    except requests.exceptions.SSLError as error:
        raise FetchError(f"the connection to {host(url)} is not trusted ({error})") from error
    except (
        requests.exceptions.RequestException,
        HTTPError,
        ConnectionError,
        TimeoutError,
    ) as error:
        there = part.stat().st_size / 1e6 if part.is_file() else 0
        raise _Broken(f"the connection to {host(url)} broke after {there:.1f} MB") from error
    if total and size != total:
        if size > total:
            part.unlink()
        raise _Broken(f"{host(url)} sent {size:,} of {total:,} bytes")


def _place(answer: "requests.Response") -> tuple[int, int | None]:
    """From which byte on the answer is the file (-1: unknown), and its length where it is told."""
    status, server = answer.status_code, host(answer.url)
    if status == 206:
        said = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
        if not said:
            return -1, None
        return int(said[1]), None if said[2] == "*" else int(said[2])
    if status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    if status == 429 or status >= 500:
        raise _Broken(f"{server} is busy or broken (status {status})")
    if status in (404, 410):
        raise FetchError(f"there is nothing at {answer.url} (status {status})")
    if status in (401, 403):
        raise FetchError(f"{server} refuses to hand it out (status {status})")
    if status == 202:  # what a guard against programs answers, with a riddle for browsers
        raise FetchError(f"{server} hands it out to browsers only (status {status})")
    raise FetchError(f"{server} answers with status {status}")


def _refuse_page(first: bytes, url: str) -> None:
    """Stop at a web page: a sign-in, a quota, a provider's notice; no file of ours is one."""
    if first.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        title = re.search(rb"<title[^>]*>(.*?)</title>", first, re.IGNORECASE | re.DOTALL)
        words = " ".join(title[1].decode("utf-8", "replace").split())[:80] if title else ""
        named = f' ("{words}")' if words else ""
        raise FetchError(f"{host(url)} sends a web page{named} in place of the file")


def _append(
    answer: "requests.Response",
    part: Path,
    start: int,
    first: bytes,
    total: int | None,
    text: str | None,
) -> int:
    """Write the answer to `part` from byte `start` on; the size that it has then."""
    size, million = start, 1_000_000
    whole = total // million if total else None
    try:
        with part.open("ab") as file, progress_bar(text, whole, unit="megabyte") as bar:
            file.truncate(start)
            bar.update(size // million)
            chunk = first
            while chunk:
                file.write(chunk)
                bar.update((size + len(chunk)) // million - size // million)
                size += len(chunk)
                chunk = answer.raw.read1(CHUNK)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES):
            raise  # not the disk's: urllib3's errors are handled where the connection is
        raise KitError(
            f"{part} cannot be written ({error.strerror}); free some space and run it again: it "
            "goes on where it stopped."
        ) from error
    return size
