"""Large files on a disk: their checksums, the room for them, and one process at a time for each."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xray_helpers.errors import KitError

RESERVE = 50_000_000  # bytes of a disk that are left free


def digest(path: Path, like: str) -> str:
    """Checksum of a file by the method that `like` ("md5:…") names, in the same form."""
    method = like.partition(":")[0]
    with path.open("rb") as file:
        return f"{method}:{hashlib.file_digest(file, method).hexdigest()}"


def check_room(folder: Path, size: int) -> None:
    """Stop where the disk of `folder` has no room for `size` bytes more.

    Raises:
        KitError: says how much is missing.
    """
    free = shutil.disk_usage(folder).free - RESERVE
    if size > free:
        raise KitError(
            f"{folder} needs {size / 1e6:,.0f} MB and its disk has {max(free, 0) / 1e6:,.0f} MB to "
            "spare; free some space or name a folder on another disk (XRAY_CACHE for downloads)."
        )


@contextmanager
def alone(target: Path, text: str | None) -> Iterator[None]:
    """Hold off other processes that fetch the file `target` until the block ends.

    On a disk that has no locks nobody is held off. With a text, waiting is said.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(blocking=False)
    except Timeout:
        if text:
            print(f"{target.name} is being fetched by another process; waiting for it.")
        lock.acquire()
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        # Removed while it is held: whoever waits sees that it is gone and makes a new one.
        with suppress(OSError):
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()
