"""A class-like set under open licences: covid from Hannover, the other classes from Kermany.

`two/` and `all/` with train and test, as in the class's zip and with its numbers of pictures. No
patient gives pictures to both train and test, or to two classes. As in the class's zip, all of
Kermany's come from its train split: the test split differs from it, and the numbers of patients
there start again, so that a number on both sides may or may not be one child.

As in the class's zip, covid pictures are of adults from one hospital and all others of children
from another, so a network can tell covid by much that is not the disease.
"""

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

from xray_helpers.data.class_zip import BOTH
from xray_helpers.data.generate.write import COUNTS
from xray_helpers.data.get.hannover import SOURCE as HANNOVER
from xray_helpers.data.get.hannover import read_hannover
from xray_helpers.data.get.known import COLLECTIONS
from xray_helpers.data.get.place import ORIGIN, is_filled, new_folder, sha256, write_own_file
from xray_helpers.data.layout import data_root
from xray_helpers.data.patients import KERMANY_SOURCE
from xray_helpers.data.table import TASK_CLASSES, task_folder
from xray_helpers.data.three import TASK as TWO_STAGE
from xray_helpers.data.three import rows_by_kind
from xray_helpers.errors import KitError
from xray_helpers.files import write_text

CLASSES = TASK_CLASSES["task2"]


@dataclass(frozen=True)
class Drawn:
    """A picture of the set: its file, where it goes, whose it is and what it hashes to."""

    path: Path
    split: str
    label: str
    patient: str
    sha256: str

    @property
    def source(self) -> str:
        """The collection it comes from."""
        return HANNOVER if self.label == "covid" else KERMANY_SOURCE

    @property
    def places(self) -> list[str]:
        """Its paths in the set: in all/, and of two classes in two/ as well."""
        tasks = ("all", "two") if self.label in BOTH else ("all",)
        return [f"{task}/{self.split}/{self.label}/{self.path.name}" for task in tasks]


def build_open_set(
    folder: Path,
    kermany: Path,
    hannover: Path,
    *,
    seed: int = 0,
    per_class: int | None = None,
    test_per_class: int | None = None,
) -> bool:
    """Write the set into `folder`, whole or not at all; False if exactly this set is there.

    Args:
        folder: gets two/, all/, sources.csv, patients.csv and ORIGIN.txt.
        kermany: the folder with Kermany's train/ and test/.
        hannover: the folder of the COVID-19 Image Repository.
        seed: of the draw; the same seed and files always give the same set.
        per_class: training pictures of each class; None for as many as the class's zip has.
        test_per_class: test pictures of each class; None for 9.

    Raises:
        KitError: a folder is missing or not what it should be, or has too few pictures or
            patients; `folder` is not empty.
    """
    pools = _pools(data_root(kermany), data_root(hannover))
    drawn, taken, seen = [], set(), set()
    for label in CLASSES:
        train = COUNTS["train"][label] if per_class is None else per_class
        test = COUNTS["test"][label] if test_per_class is None else test_per_class
        rng = random.Random(f"{seed}-{label}")
        drawn += _draw(pools[label], label, train, test, rng, taken, seen)
    note = _note(drawn, seed)
    if is_filled(folder) and _text(folder / ORIGIN) == note:
        return False
    with new_folder(folder) as new:
        for picture in drawn:
            for place in picture.places:
                (new / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture.path, new / place)
        patients = {place: d.patient for d in drawn for place in d.places}
        sources = {place: d.source for d in drawn for place in d.places}
        write_own_file(new / "patients.csv", "patient", patients)
        write_own_file(new / "sources.csv", "source", sources)
        write_text(new / ORIGIN, note)
    return True


def _pools(kermany: Path, hannover: Path) -> dict[str, dict[str, list[Path]]]:
    """{class: {patient: pictures}}, in an order that is the same on every machine."""
    pools: dict[str, dict[str, list[Path]]] = {label: {} for label in CLASSES}
    table = rows_by_kind(task_folder(kermany, TWO_STAGE))
    for row in table[table["split"] != "test"].sort_values("path").itertuples():
        if row.label in pools and row.source == KERMANY_SOURCE:
            pools[row.label].setdefault(row.patient, []).append(Path(row.path))
    pools["covid"] = {}
    for row in read_hannover(hannover).itertuples():
        if row.covid:
            pools["covid"].setdefault(row.patient, []).append(Path(row.path))
    return pools


def _draw(
    pool: dict[str, list[Path]],
    label: str,
    train: int,
    test: int,
    rng: random.Random,
    taken: set[str],
    seen: set[str],
) -> list[Drawn]:
    """Test pictures of as many patients, then training pictures, patient by patient in turn.

    So there are as many patients as can be. A patient in `taken` (of another class) and a picture
    in `seen` (Kermany's set has copies) are passed over; both grow.
    """
    patients = sorted(pool.keys() - taken)
    rng.shuffle(patients)
    drawn: list[Drawn] = []
    used = 0  # patients for test
    for patient in patients:
        if sum(d.split == "test" for d in drawn) == test:
            break
        used += 1
        drawn += _one(pool[patient], "test", label, patient, rng, seen)
    left = {patient: rng.sample(pool[patient], len(pool[patient])) for patient in patients[used:]}
    while len(drawn) < train + test and any(left.values()):
        for patient, pictures in left.items():
            if pictures and len(drawn) < train + test:
                drawn += _one([pictures.pop()], "train", label, patient, rng, seen)
    if len(drawn) < train + test:
        raise KitError(
            f"There are too few {label} pictures: {train} for training and {test} for test, of "
            f"other patients, were asked for, and {len(drawn)} could be drawn from {len(patients)} "
            "patients; ask for fewer with --per-class and --test-per-class."
        )
    taken.update(d.patient for d in drawn)
    return drawn


def _one(
    pictures: list[Path], split: str, label: str, patient: str, rng: random.Random, seen: set[str]
) -> list[Drawn]:
    """One picture of a patient, or none where all are copies of what was drawn before."""
    for path in rng.sample(pictures, len(pictures)):
        if (digest := sha256(path)) not in seen:
            seen.add(digest)
            return [Drawn(path, split, label, patient, digest)]
    return []


def _note(drawn: list[Drawn], seed: int) -> str:
    """The text that stays with the set; it names every picture, so it tells two sets apart."""
    kermany, hannover = COLLECTIONS["kermany"], COLLECTIONS["hannover"]
    counts = [
        f"{label}: {sum(d.split == split and d.label == label for d in drawn)} {split}"
        for label in CLASSES
        for split in ("train", "test")
    ]
    patients = {d.patient for d in drawn}
    lines = [
        "Chest X-rays under open licences in the layout of the class's, unchanged files.",
        f"{len(drawn)} pictures of {len(patients)} patients, none both in train and test; "
        f"drawn with seed {seed}. {', '.join(counts)}.",
        "",
        "covid: adults, Hannover, Germany.",
        f"  Licence: {hannover.licence}",
        f"  Credit: {hannover.credit}",
        "normal, pneumonia_bac, pneumonia_vir: children of 1 to 5 years, Guangzhou, China.",
        f"  Licence: {kermany.licence}",
        f"  Credit: {kermany.credit}",
        "",
        "Age, hospital and machine tell covid from the rest: no result on it is one on covid.",
        "",
        "SHA-256 of each picture:",
        *(f"{d.sha256}  {d.places[0]}" for d in drawn),
    ]
    return "\n".join(lines) + "\n"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""
