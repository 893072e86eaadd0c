"""Which frozen backbone suits these pictures best, and can that be told at all?

36 test pictures cannot rank six networks: one picture more or less moves a network by several
places, and to choose by them would spoil them for the final test. So the backbones are ranked on
the train and validation pictures alone, and the test pictures are not looked at.

Each backbone turns a picture into a few hundred numbers, its last map averaged. In each of five
folds a logistic regression learns from the pictures outside the fold and is asked about those in
it: every picture is answered once by a classifier that has not seen its patient. This is repeated
with other folds, for some of the luck lies in how they were cut.

What remains uncertain is written down: the interval tells how the accuracy would move with other
patients, the spread how it moves with other folds. Folds share most of their training pictures, so
that an interval is somewhat too narrow (Bengio and Grandvalet 2004, J. Mach. Learn. Res. 5:1089).
"""

import difflib
import gc
from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from xray_helpers.data import Dataset
from xray_helpers.errors import KitError
from xray_helpers.evaluation.bootstrap import CONFIDENCE, percentile_interval, resample_weights
from xray_helpers.evaluation.floor import FLOORS, floor_inputs, floor_model
from xray_helpers.evaluation.probe import pooled_backbone, pooled_features
from xray_helpers.models.backbones import BACKBONES, PRETRAINED
from xray_helpers.models.weights import Weights, find_weights
from xray_helpers.progress import no_bars, progress_bar
from xray_helpers.training.search import fold_numbers

WORSE, UNTOLD = "worse than the best", "cannot be told from the best"


def rank_backbones(
    data: Dataset,
    backbones: str | Sequence[str],
    weights: str = "auto",
    folds: int = 5,
    repeats: int = 5,
    seed: int = 42,
) -> pd.DataFrame:
    """Rank frozen backbones by repeated cross-validation on the train and validation pictures.

    Args:
        data: the pictures; those of the test split are not used.
        backbones: names, as a list or with commas between them; "all" for all with ImageNet
            weights.
        weights: what they start from, see `find_weights`.
        folds: how many parts the pictures are cut into, each left out of training once; no
            patient is in two of them, and each has the classes' shares.
        repeats: how often they are cut anew.
        seed: of the folds; that of repeat r is `seed + r`.

    Returns:
        A row a backbone, best first, then a row a floor (see `evaluation.floor`), on the same
        folds. Columns:

        - rank (from 1; missing for floors), backbone (its name, or the floor's);
        - weights: "imagenet", "random", … ; missing for floors;
        - accuracy: mean over the repeats; low, high: 95 % interval by drawing whole patients;
        - spread: standard deviation of the accuracy over the repeats (n - 1);
        - n (pictures), patients;
        - behind: the best backbone's accuracy less this one's; behind_low, behind_high: its 95 %
          interval, paired: the same patients drawn for both; NaN for the best itself. It is that
          of these two alone, and does not know that the best was picked out of several;
        - verdict: "the best here"; "worse than the best", of a backbone that is farther behind
          than the last of so many equally good ones would be in 95 of 100 cases (see `_limit`),
          of a floor where that interval lies above 0; else "cannot be told from the best", which
          does not mean equally good (a floor may also be "better than the best");
        - mark: "random weights" where the backbone has learnt nothing yet, else "";
        - reference: True for floors.

    Raises:
        KitError: a name is no backbone with learnt weights; the pictures are too small for one;
            a class has fewer patients than there are folds.
    """
    names = chosen_backbones(backbones, data.pictures.shape[1])
    rows = np.concatenate([data.rows("train"), data.rows("validation")])
    patients = data.table["patient"].astype(str).to_numpy()[rows]
    labels = np.concatenate([data.split(split)[1] for split in ("train", "validation")])
    cuts = [fold_numbers(labels, patients, data.classes, folds, seed + r) for r in range(repeats)]

    kinds, right = {}, {}
    with progress_bar("Ranking backbones", len(names), unit="backbone") as bar:
        for name in names:
            bar.set_postfix_str(f"now {name}")
            found = find_weights(name, weights)
            kinds[name] = found.kind
            with no_bars():
                features = _features(data, name, found, seed)
            # More features than pictures, as of thumbnails: the same classifier.
            right[name] = _answers(features, labels, cuts, partial(floor_model, "thumbnails"))
            bar.update()
        bar.set_postfix_str("")
    seen = floor_inputs(data.table["path"].iloc[rows].tolist())
    for floor, display in FLOORS.items():
        right[display] = _answers(seen[floor], labels, cuts, partial(floor_model, floor))

    table = _scored(right, patients, list(kinds))
    table.insert(2, "weights", [kinds.get(name) for name in table["backbone"]])
    random = table["weights"] == "random"
    return table.assign(mark=np.where(random, "random weights", ""), reference=table["rank"].isna())


def chosen_backbones(names: str | Sequence[str], image_size: int) -> list[str]:
    """The backbones that are named, each once.

    Raises:
        KitError: there is no such backbone, none at all, or the pictures are too small for one.
    """
    if isinstance(names, str):
        names = PRETRAINED if names.strip() == "all" else names.split(",")
    names = [name.strip() for name in names if name.strip()]
    if not names:
        raise KitError("rank_backbones: no backbone is named; name some, or 'all'.")
    for name in names:
        if name not in PRETRAINED:
            near = difflib.get_close_matches(name, PRETRAINED, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(PRETRAINED)}."
            raise KitError(f"rank_backbones: '{name}' is no backbone with learnt weights; {hint}")
        smallest = BACKBONES[name].smallest_size
        if image_size < smallest:
            raise KitError(
                f"rank_backbones: '{name}' takes pictures of {smallest} pixels and more, these "
                f"have {image_size}; set image_size={smallest} or leave it out."
            )
    return list(dict.fromkeys(names))


def _features(data: Dataset, name: str, weights: Weights, seed: int) -> np.ndarray:
    """The averaged last map of a frozen backbone for train, then validation pictures, (n, d).

    The average is a layer of the model, so that the cache holds n × channels and not the maps. It
    is the part that the notebooks' default networks freeze too: what they kept is not computed
    again.
    """
    network = pooled_backbone(data, name, weights, seed)
    # One split after the other, as `train` does: it finds them in the cache.
    splits = [data.split(split)[0] for split in ("train", "validation")]
    features = np.concatenate([pooled_features(network, pictures) for pictures in splits])
    # The next backbone needs the memory.
    keras.backend.clear_session()
    gc.collect()
    return features


def _answers(
    features: np.ndarray,
    labels: np.ndarray,
    cuts: Sequence[np.ndarray],
    new_classifier: Callable[[], Pipeline],
) -> np.ndarray:
    """Whether each picture was called right, (repeats, n) bool, by one that had not seen it."""
    right = np.empty((len(cuts), len(labels)), bool)
    # Threads that wait for each other take longer than such small fits: ten times, where other
    # programs run beside them.
    with threadpool_limits(1):
        for repeat, fold_of in enumerate(cuts):
            for fold in np.unique(fold_of):
                out = fold_of == fold
                model = new_classifier().fit(features[~out], labels[~out])
                right[repeat, out] = model.predict(features[out]) == labels[out]
    return right


def _scored(
    right: dict[str, np.ndarray], patients: np.ndarray, backbones: Sequence[str]
) -> pd.DataFrame:
    """The table of `rank_backbones` but for what is known of the weights.

    Args:
        right: name -> (repeats, n) bool.
        patients: (n,).
        backbones: the names that are ranked; all others are floors.
    """
    times = resample_weights(patients)
    # Of each picture, how often it was called right, and that in every resample of the patients.
    shares = {name: answers.mean(axis=0) for name, answers in right.items()}
    drawn = {name: times @ share / times.sum(axis=1) for name, share in shares.items()}
    ranked = sorted(backbones, key=lambda name: -shares[name].mean())
    best, limit = ranked[0], _limit([drawn[name] - shares[name].mean() for name in ranked])
    rows = []
    for place, name in enumerate([*ranked, *(name for name in right if name not in backbones)]):
        low, high = percentile_interval(drawn[name])
        behind = float(np.mean(shares[best] - shares[name]))
        behind_low, behind_high = percentile_interval(drawn[best] - drawn[name])
        repeats = right[name].mean(axis=1)
        if name == best:
            verdict = "the best here"
        elif name in backbones:
            verdict = WORSE if behind > limit else UNTOLD
        else:
            verdict = _verdict(behind_low, behind_high)
        rows.append(
            {
                "rank": place + 1 if name in backbones else None,
                "backbone": name,
                "accuracy": shares[name].mean(),
                "low": low,
                "high": high,
                "spread": repeats.std(ddof=1) if len(repeats) > 1 else float("nan"),
                "n": len(patients),
                "patients": len(np.unique(patients)),
                "behind": behind,
                "behind_low": behind_low,
                "behind_high": behind_high,
                "verdict": verdict,
            }
        )
    return pd.DataFrame(rows).astype({"rank": "Int64"})


def _limit(moves: Sequence[np.ndarray]) -> float:
    """How far behind the best a backbone has to be to be called worse.

    The best of several equals is the one that had luck, so the last of them is behind it without
    being worse: among six equals, the first and the last are farther apart than two usually are.
    How far is read from the resamples, in which each backbone's accuracy moves about what it is
    here. In 95 of 100 of them the first and the last have moved apart by less than this (Tukey's
    range, with patients drawn: Westfall and Young 1993, Resampling-Based Multiple Testing).

    Args:
        moves: of each backbone, its accuracy in each resample less that of all patients, (B,).

    Returns:
        A difference of accuracies; infinite where no resample moves them apart, as where there is
        one patient only: then there is nothing to judge by.
    """
    apart = np.ptp(np.stack(moves), axis=0)
    limit = float(np.quantile(apart, CONFIDENCE))
    # Not 0: the last digit of a mean depends on how it is added up.
    return limit if limit > 1e-9 else float("inf")


def _verdict(low: float, high: float) -> str:
    """What the interval of a floor's distance from the best says; without one (NaN), nothing."""
    if low > 0:
        return WORSE
    return "better than the best" if high < 0 else UNTOLD
