"""Whether heat lies where the disease is: scored on generated pictures, whose lesions are known.

Of a real picture nobody has drawn where the disease is, so there is no telling whether the heat of
a model lies in the right place. The generated ones have a mask of their lesions. Two scores:

- *pointing game* (Zhang et al. 2018, Int. J. Comput. Vis. 126:1084): in how many pictures the
  hottest place lies in the lesion; without the tolerance around it that the paper allows.
- *heat inside*: which share of a picture's heat lies in the lesion.

Both stand beside what heat that knows nothing would get: a lesion that fills a tenth of the
picture is hit by a tenth of all random points, and holds a tenth of heat that is spread evenly.

A coarse map cannot point well: Grad-CAM's hottest place is always the middle of a field of the map,
and where a map has 3x3 fields (VGG16 at 96 pixels; at 224 it has 7x7) lesions lie between them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from xray_helpers.data import Dataset
from xray_helpers.data.enhance import chosen_steps, crop_box
from xray_helpers.data.generate import read_mask
from xray_helpers.data.pictures import open_picture
from xray_helpers.errors import KitError
from xray_helpers.evaluation.averages import mean_of, share_of
from xray_helpers.evaluation.estimate import Estimate

HEALTHY = "normal"


@dataclass(frozen=True)
class HeatScores:
    """How well heat agrees with masks.

    Attributes:
        pointing: share of pictures whose hottest place lies in the mask; a picture without any
            heat is a miss.
        inside: share of a picture's heat that lies in the mask, on average; pictures without any
            heat are left out.
        chance: what heat that knows nothing gets for `pointing`: the share of the picture that the
            mask fills, on average.
        inside_chance: what it gets for `inside`: the same of the pictures with heat alone; NaN
            where there is none.
        without_heat: pictures in which nothing is above 0, or in which heat is NaN.
    """

    pointing: Estimate
    inside: Estimate
    chance: float
    inside_chance: float
    without_heat: int

    def __str__(self) -> str:
        """Three sentences for a reader."""
        found = (
            f"The hottest place lies in the lesion: {self.pointing}. "
            f"Share of the heat in the lesion: {self.inside}. "
        )
        if not self.without_heat:
            return f"{found}Heat that knows nothing would get {self.chance:.3f} in both."
        known = "" if self.inside.n == 0 else f", and {self.inside_chance:.3f} for the second"
        return (
            f"{found}Heat that knows nothing would get {self.chance:.3f} for the first{known}. "
            f"Pictures without any heat: {self.without_heat}; they are misses, and have no share."
        )


def heat_scores(
    heats: np.ndarray, masks: np.ndarray, patients: ArrayLike | None = None
) -> HeatScores:
    """Compare heat with where the lesions are.

    Where several pixels are equally hot, half of them or more have to lie in the mask. Heat below
    0 (of `occlusion`: better without) counts as none, and so does a picture's with NaN in it.

    Args:
        heats: (n, height, width), as `grad_cam` or `occlusion` give it, for pictures that have a
            lesion.
        masks: bool (n, height, width), in the same order; none of them empty.
        patients: the patient of each picture, (n,); None: each has one picture.

    Raises:
        KitError: the shapes differ, there is no picture, or a mask is empty.
    """
    heats, masks = np.asarray(heats, np.float64), np.asarray(masks)
    if heats.shape != masks.shape or heats.ndim != 3 or masks.dtype != bool:
        raise KitError(
            f"heat_scores: heat {heats.shape} and masks {masks.shape} ({masks.dtype}): give as "
            "many bool masks of the same height and width."
        )
    if len(masks) == 0 or not masks.any(axis=(1, 2)).all():
        raise KitError("heat_scores: give at least one picture, and only such as have a lesion.")
    flat, inside = np.clip(heats, 0, None).reshape(len(heats), -1), masks.reshape(len(masks), -1)
    most, total = flat.max(axis=1), flat.sum(axis=1)
    hot = most > 0  # not where it is NaN
    hottest = (flat == most[:, None]) & hot[:, None]
    hits = hot & ((hottest & inside).sum(axis=1) >= hottest.sum(axis=1) / 2)
    none = np.full(len(flat), np.nan)
    share = np.divide((flat * inside).sum(axis=1), total, out=none, where=total > 0)
    return HeatScores(
        pointing=share_of(hits, patients),
        inside=mean_of(share, patients),
        chance=float(inside.mean()),
        inside_chance=float(inside[hot].mean()) if hot.any() else float("nan"),
        without_heat=int((~hot).sum()),
    )


def lesion_masks(
    data: Dataset, split: str = "test", enhance: str = "", rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The masks of a split's generated pictures that show a lesion.

    Healthy ones are left out, and so are pictures without a mask: all that are not generated.

    Args:
        data: the pictures.
        split: "test", "validation" or "train".
        enhance: the steps that `data` was loaded with; `crop` moves the lesion.
        rows: places in `data.split(split)`, (n,), of the pictures to look at; None: all.

    Returns:
        Places among these pictures, int64 (k,), and their masks, bool (k, size, size), resized
        like the pictures but without mixing pixels. k is 0 where nothing is generated.
    """
    size = data.pictures.shape[1]
    places, masks = [], []
    table = data.table.iloc[data.rows(split) if rows is None else data.rows(split)[rows]]
    for place, (path, label) in enumerate(zip(table["path"], table["label"], strict=True)):
        mask = None if label == HEALTHY else read_mask(Path(path))
        if mask is None:
            continue
        if "crop" in chosen_steps(enhance):
            mask = mask[crop_box(np.asarray(open_picture(Path(path))[1]))]
        image = Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST)
        if (mask := np.asarray(image, bool)).any():
            places.append(place)
            masks.append(mask)
    return np.array(places, np.int64), np.array(masks, bool).reshape(-1, size, size)
