"""A folder of made-up chest X-rays, in the layout of the class data."""

import json
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from xray_helpers.data.generate.film import draw_again
from xray_helpers.data.pictures import worker_count
from xray_helpers.errors import KitError
from xray_helpers.progress import progress_bar

VERSION = 2  # of the pictures; raised when the same seed gives other pictures
LABELS = ("covid", "normal", "pneumonia_bac", "pneumonia_vir")
BINARY = ("covid", "normal")  # the classes that are in two/ as well
SPLITS = ("train", "test")
# The counts of the class data.
COUNTS = {
    "train": {"covid": 60, "normal": 70, "pneumonia_bac": 70, "pneumonia_vir": 70},
    "test": {"covid": 9, "normal": 9, "pneumonia_bac": 9, "pneumonia_vir": 9},
}
RECORD = "generated.json"


@dataclass(frozen=True)
class Order:
    """One picture to draw."""

    split: str
    label: str
    patient: int  # counted within split and class
    picture: int  # of this patient, from 1
    stem: str  # of the file's name: tells the patient, not the class


def write_demo(
    folder: Path,
    *,
    seed: int = 0,
    per_class: int | None = None,
    test_per_class: int | None = None,
    size: int = 256,
    progress: bool = True,
) -> Path:
    """Fill a folder with made-up chest X-rays and return it.

    Written are `all/{train,test}/<class>/`, byte-identical copies of covid and normal under
    `two/`, the lesion masks as PNG under `masks/{train,test}/<class>/` and `generated.json`.

    Without `per_class` there are as many pictures as in the class data. With it, each class has
    that many in train, and in test `test_per_class`, or a quarter as many but at least 4. The
    same arguments always give the same bytes.

    The folder appears whole or not at all. One that already holds exactly this set is kept; any
    other that is not empty is refused.
    """
    folder = Path(folder)
    counts = _counts(per_class, test_per_class)
    if seed < 0:
        raise KitError(f"The seed of the generated pictures is {seed}; give 0 or more.")
    record = {"generated": True, "version": VERSION, "seed": seed, "size": size, "counts": counts}
    if _kept(folder, record):
        return folder
    # Written beside, then renamed: an interrupted writer leaves no folder that looks complete.
    part = folder.parent / f".{folder.name}-{secrets.token_hex(4)}.part"
    try:
        part.mkdir(parents=True)
        _write_all(part, list(_orders(seed, counts)), seed, size, progress)
        (part / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        if folder.is_dir():
            folder.rmdir()  # it is empty; Windows does not rename onto a folder
        part.rename(folder)
    except OSError as error:
        if _kept(folder, record):  # another process wrote the same set in the meantime
            return folder
        raise KitError(
            f"The generated pictures could not be written to {folder} ({error.strerror or error}); "
            "name a folder on a disk with room where you may write (where the notebooks draw them, "
            "set XRAY_CACHE)."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def is_generated(folder: Path) -> bool:
    """Whether a folder was written whole by `write_demo`."""
    return _read_record(Path(folder)) is not None


def read_mask(picture_path: Path) -> np.ndarray | None:
    """Where the disease is drawn in a generated picture, bool (size, size), else None.

    Takes pictures under `all/` and under `two/`.
    """
    path = Path(picture_path).absolute()
    *_, group, split, label, name = ("", "", "", *path.parts)
    mask = path.parents[min(3, len(path.parents) - 1)] / "masks" / split / label / name
    mask = mask.with_suffix(".png")
    if group not in ("all", "two") or not mask.is_file():
        return None
    with Image.open(mask) as picture:
        return np.array(picture.convert("1"), dtype=bool)


# --- what to draw ---------------------------------------------------------------------------


def _counts(per_class: int | None, test_per_class: int | None) -> dict[str, dict[str, int]]:
    """Pictures of each split and class."""
    for name, value in (("per_class", per_class), ("test_per_class", test_per_class)):
        if value is not None and value < 1:
            raise KitError(f"{name} is {value}; generate at least 1 picture of each class.")
    counts = {split: dict(of_split) for split, of_split in COUNTS.items()}
    if per_class is not None:
        counts["train"] = dict.fromkeys(LABELS, per_class)
        counts["test"] = dict.fromkeys(LABELS, max(4, per_class // 4))
    if test_per_class is not None:
        counts["test"] = dict.fromkeys(LABELS, test_per_class)
    return counts


def _stream(seed: int, *key: int) -> np.random.Generator:
    """Random numbers that depend on seed and key alone, not on what was drawn before."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _orders(seed: int, counts: dict[str, dict[str, int]]) -> Iterator[Order]:
    """Every picture of a set; most patients have one, some two or three."""
    total = sum(sum(of_split.values()) for of_split in counts.values())
    # Numbers by chance: in order, they would tell the class.
    numbers = iter(_stream(seed, 0).permutation(total) + 1)
    for split, of_split in counts.items():
        for label, wanted in of_split.items():
            rng = _stream(seed, 1, SPLITS.index(split), LABELS.index(label))
            patient = made = 0
            while made < wanted:
                number = next(numbers)
                pictures = min(rng.choice([1, 2, 3], p=[0.8, 0.15, 0.05]), wanted - made)
                for picture in range(1, pictures + 1):
                    yield Order(split, label, patient, picture, f"gen-{number:04d}-{picture}")
                patient += 1
                made += pictures


# --- drawing and writing --------------------------------------------------------------------


def _write_all(part: Path, orders: list[Order], seed: int, size: int, progress: bool) -> None:
    """Draw and write every picture, on as many threads as this process may use.

    Threads, since numpy, scipy and Pillow let others run while they compute, and since a process
    forked after TensorFlow was loaded can hang.
    """
    with (
        ThreadPoolExecutor(worker_count()) as pool,
        progress_bar("Drawing pictures" if progress else None, len(orders)) as bar,
    ):
        waiting = [pool.submit(_write_one, part, order, seed, size) for order in orders]
        try:
            for done in as_completed(waiting):
                done.result()
                bar.update()
        except BaseException:  # an interrupt too: do not draw the rest first
            pool.shutdown(cancel_futures=True)
            raise


def _write_one(part: Path, order: Order, seed: int, size: int) -> None:
    """Draw one picture; write it, its copy and its mask."""
    key = (2, SPLITS.index(order.split), LABELS.index(order.label), order.patient)
    of_patient, of_picture = _stream(seed, *key, 0), _stream(seed, *key, order.picture)
    picture, mask = draw_again(order.label, of_patient, of_picture, size)
    inside = Path(order.split, order.label)
    file = part / "all" / inside / f"{order.stem}.jpeg"
    file.parent.mkdir(parents=True, exist_ok=True)
    # At one quality, the size of the file would tell streaky lungs from clear ones.
    Image.fromarray(picture).save(file, quality=int(of_picture.integers(86, 95)))
    if order.label in BINARY:
        copy = part / "two" / inside / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    target = part / "masks" / inside / f"{order.stem}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(target)


# --- what is there already ------------------------------------------------------------------


def _read_record(folder: Path) -> dict | None:
    """What `generated.json` says, None where there is none that can be read."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("generated") is True else None


def _kept(folder: Path, record: dict) -> bool:
    """Whether the folder already holds this very set. Refuses a folder that holds another."""
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise KitError(f"{folder} is a file; name a folder for the generated pictures.")
    if not any(folder.iterdir()):
        return False
    old = _read_record(folder)
    if old is None:
        raise KitError(
            f"{folder} is not empty and not a set of generated pictures; name a folder that is "
            "new or empty."
        )
    if old != record:
        raise KitError(
            f"{folder} holds another set of generated pictures (seed {old.get('seed')}); delete "
            "it or name another folder."
        )
    there = {
        split: {
            label: len(list((folder / "all" / split / label).glob("gen-*.jpeg")))
            for label in of_split
        }
        for split, of_split in record["counts"].items()
    }
    if there != record["counts"]:
        raise KitError(
            f"Pictures are missing from the generated set in {folder}; delete the folder and "
            "generate it again."
        )
    return True
