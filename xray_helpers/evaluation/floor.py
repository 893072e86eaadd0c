"""The floor: what a model scores that has seen no detail of a lung.

Two small classifiers say how much the pictures give away beside what they show. One sees ten
numbers that tell how a picture was made: its size, file mode, borders and brightness. The other
sees a thumbnail of 14x14 grey pixels, in which no doctor could find a pneumonia. Where they tell
the classes apart, so can a network, without having learnt anything about disease. A model is
worth something by what it scores above this floor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from xray_helpers.data import Dataset
from xray_helpers.data.file_numbers import NAMES, SIDE, file_numbers, grey_square
from xray_helpers.data.pictures import UnreadablePicture, in_threads, open_picture
from xray_helpers.data.stages import some_pictures
from xray_helpers.errors import KitError
from xray_helpers.evaluation.metrics import Estimate, accuracy
from xray_helpers.paths import below

MOST_LEARNT = 10_000
"""Of more train and validation pictures the floors learn from so many: 206 numbers need no more."""
_AT_ONCE = 5_000  # test pictures whose numbers are in memory
STEP = 16  # each 16th pixel of each 16th row is a thumbnail's
FLOORS = {
    "numbers": "floor: size, mode, border, brightness",
    "thumbnails": "floor: 14×14 thumbnails",
}
"""What the two floors are called in records, and in tables and figures."""
PENALTY = {"numbers": 1.0, "thumbnails": 0.01}
"""C of each floor's logistic regression: the smaller, the stronger the penalty.

With more features than pictures, the penalty decides how certain the classifier may become. 0.01
means: before it has seen a picture, the scores that it would give from 512 to 2048 features spread
by 2 to 5, from unsure to nearly sure, while C = 1 starts at "sure of everything". It is fixed
beforehand, since to choose it by these pictures would flatter whatever it was chosen for.
"""


@dataclass(frozen=True, eq=False)
class Floors:
    """What both floors say of the test pictures.

    Attributes:
        predictions: a row a test picture: path (below the data folder), true, numbers,
            thumbnails (the class that each floor calls it), patient.
        scores: floor -> its test accuracy.
        note: of how many pictures the floors have learnt, a sentence; "" where of all.
    """

    predictions: pd.DataFrame
    scores: dict[str, Estimate]
    note: str = ""

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The `floor` section of `run.json`."""
        return {
            name: {k: getattr(score, k) for k in ("value", "low", "high", "n")}
            for name, score in self.scores.items()
        }


def floors(data: Dataset, progress: str | None = "Measuring the floor") -> Floors:
    """Fit both floors on all train and validation pictures and score them on the test pictures.

    The validation pictures are trained on too, since nothing is chosen on them: the floors have
    no epochs and no settings. Of more than `MOST_LEARNT` they learn from so many, drawn by chance
    in the classes' shares, and `note` says so.

    Args:
        data: of any task; the files are read again, as they lie on disk.
        progress: text of the progress bar; None for none.

    Raises:
        KitError: a file cannot be read any more.
    """
    fitted, note = _learnt_from(data)
    test = data.rows("test")
    paths = data.table["path"].iloc[np.concatenate([fitted, test])].tolist()
    true = data.table["label"].to_numpy(str)
    patients = data.table["patient"].astype(str).to_numpy()[test]
    seen = in_threads(_look, [Path(path) for path in paths], progress)
    learnt = _stacked(islice(seen, len(fitted)))
    models = {name: floor_model(name).fit(learnt[name], true[fitted]) for name in FLOORS}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in FLOORS}
    while some := list(islice(seen, _AT_ONCE)):
        for name, features in _stacked(some).items():
            parts[name].append(models[name].predict(features))
    predicted = {name: np.concatenate(part) for name, part in parts.items()}
    predictions = pd.DataFrame(
        {
            "path": [below(path, data.source.root) for path in paths[len(fitted) :]],
            "true": true[test],
            **predicted,
            "patient": patients,
        }
    )
    scores = {name: accuracy(true[test], called, patients) for name, called in predicted.items()}
    return Floors(predictions, scores, note)


def _learnt_from(data: Dataset) -> tuple[np.ndarray, str]:
    """Rows of the train, then of the validation pictures to learn from, and `Floors.note`."""
    rows = {split: data.rows(split) for split in ("train", "validation")}
    there = sum(map(len, rows.values()))
    note = ""
    if there > MOST_LEARNT:
        wanted = {split: round(MOST_LEARNT * len(of) / there) for split, of in rows.items()}
        some = some_pictures(data, wanted, seed=0)
        rows = {split: some.rows(split) for split in rows}
        note = (
            f"The two classifiers learn from {sum(map(len, rows.values())):,} of the {there:,} "
            "train and validation pictures, drawn by chance; they are scored on all test pictures."
        )
    return np.concatenate(list(rows.values())), note


def floor_inputs(paths: Sequence[Path | str], progress: str | None = None) -> dict[str, np.ndarray]:
    """What the floors see of n pictures: "numbers", (n, 10), and "thumbnails", (n, 196), float64.

    The numbers stand in the order of `NAMES`. Each file is read once, in parallel threads.

    Raises:
        KitError: a file cannot be read.
    """
    return _stacked(in_threads(_look, [Path(path) for path in paths], progress))


def _stacked(seen: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `_look` gave of some pictures, as `floor_inputs` gives it."""
    seen = list(seen)
    numbers, thumbnails = zip(*seen, strict=True) if seen else ((), ())
    side = len(range(0, SIDE, STEP))
    return {
        "numbers": np.array(numbers, np.float64).reshape(-1, len(NAMES)),
        "thumbnails": np.array(thumbnails, np.float64).reshape(-1, side * side),
    }


def floor_model(name: str = "numbers") -> Pipeline:
    """The classifier of a floor, not yet fitted: standardised, then logistic regression.

    That on thumbnails has more numbers than there are pictures, and so a stronger penalty, see
    `PENALTY`.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY[name], max_iter=5000))


def _look(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The ten numbers, (10,), and the thumbnail, (196,), of one picture, float64.

    Size, mode and format are those of the file as it lies on disk. The rest is measured on the
    picture as every network of the kit gets it: upright, 8 bits, transparency on black.
    """
    try:
        file, image = open_picture(path)
    except UnreadablePicture as error:
        raise KitError(
            f"{path} cannot be read any more ({error.reason}); put it back and load the data again."
        ) from error
    grey = grey_square(image)
    thumbnail = grey[::STEP, ::STEP].astype(np.float64).ravel()
    return file_numbers((file.width, file.height), file.mode, file.format, grey), thumbnail
