"""Which pictures are the same one, saved again, resized or cut a little: two looks.

The first look compares perceptual hashes (ImageHash's phash, 16x16 bits), each picture with each.
The second lays the two pictures of a close pair over each other and compares their fine detail,
which two patients do not have in common. Measured on the class data, Kermany's set at 224x224 and
generated pictures:

                                             bits that differ   correlation of the detail
    saved again at JPEG quality 60 or more           0 to 4             0.992 to 1.000
    saved again at JPEG quality 30                   0 to 6             0.969 to 0.999
    resized to 150x150 or to half                    0 to 6             0.994 to 1.000
    1 % cut off at each side                         up to 28           0.998 to 1.000
    2 % cut off at each side                         up to 48           0.999 to 1.000
    two pictures of one generated patient            12 or more         up to 0.988
    of two generated patients                        18 or more         up to 0.768
    different pictures of the class data             54 or more         up to 0.391
    different pictures of Kermany's set              38 or more         up to 0.529

So a cut of 1 % is always found, one of 2 % mostly, one of 5 % never.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter
from scipy.optimize import least_squares

from xray_helpers.data.pictures import open_picture

HASH_SIDE = 16
MOST_BITS = 40  # of 256; pairs with more differing bits are not looked at again
LEAST_DETAIL = 0.9  # correlation from which pictures of two patients are one
LEAST_OF_ONE_PATIENT = 0.99  # the same, of pictures that bear one patient's name
SIDE = 192  # pixels, of the second look
COARSE = 3  # pixels of the second look that are one where the pictures are laid over each other
_PAIRS = 5_000_000  # pairs of pictures that are compared at a time, 40 MB


def close_pairs(hashes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Pairs i < j of pictures whose hashes differ in at most `MOST_BITS` bits.

    Args:
        hashes: bool (n, bits).
    """
    packed = np.packbits(hashes, axis=1)
    words = np.ascontiguousarray(packed).view(np.uint64)  # (n, bits / 64)
    rows = max(1, _PAIRS // max(1, len(words)))
    for start in range(0, len(words), rows):
        block = words[start : start + rows]
        bits = sum(
            np.bitwise_count(block[:, None, k] ^ words[None, start:, k]).astype(np.uint16)
            for k in range(words.shape[1])
        )
        for i, j in np.argwhere(bits <= MOST_BITS):
            if i < j:
                yield start + int(i), start + int(j)


def same_picture(one: Path, other: Path, *, one_patient: bool) -> bool:
    """Whether two picture files show the same exposure: the second look.

    Args:
        one: a file.
        other: another.
        one_patient: whether both are said to show one patient; then more has to agree, since two
            exposures of one chest are alike.

    Raises:
        UnreadablePicture: one of them cannot be read any more.
    """
    least = LEAST_OF_ONE_PATIENT if one_patient else LEAST_DETAIL
    return detail_in_common(_grey(one), _grey(other)) >= least


def detail_in_common(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of the fine detail of two pictures, laid over each other, -1 to 1.

    The first is stretched and shifted, by at most 8 % each way, until its coarse features lie on
    the second's (least squares); then what is finer than three pixels is compared. 0 where one of
    the pictures has no detail.

    Args:
        one: float32 (192, 192).
        other: the same.
    """
    first, second = _coarse(one), _unit(_inner(_coarse(other)))

    def apart(where: np.ndarray) -> np.ndarray:
        return (_unit(_inner(_moved(first, where))) - second).ravel()

    found = least_squares(apart, np.zeros(4), bounds=(-8, 8), max_nfev=15, xtol=1e-4, ftol=1e-6)
    laid = _moved(one, found.x)
    return float((_unit(_inner(_fine(laid))) * _unit(_inner(_fine(other)))).sum())


def _grey(path: Path) -> np.ndarray:
    image = open_picture(path)[1].convert("L")
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)


def _moved(picture: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A picture stretched about its middle (first two numbers) and shifted, in percent."""
    middle = (len(picture) - 1) / 2
    stretch = 1 + where[:2] / 100
    offset = middle - stretch * middle + where[2:] * len(picture) / 100
    return affine_transform(picture, stretch, offset=offset, order=1, mode="nearest")


def _coarse(picture: np.ndarray) -> np.ndarray:
    return gaussian_filter(picture, COARSE / 2)[1::COARSE, 1::COARSE]


def _fine(picture: np.ndarray) -> np.ndarray:
    return gaussian_filter(picture, 1) - gaussian_filter(picture, 3)


def _inner(picture: np.ndarray) -> np.ndarray:
    """Without the outer twelfth, which may lie outside the other picture."""
    cut = len(picture) // 12
    return picture[cut:-cut, cut:-cut]


def _unit(picture: np.ndarray) -> np.ndarray:
    """Mean 0 and length 1, so that a product of two is their correlation."""
    picture = picture - picture.mean()
    length = float(np.sqrt((picture**2).sum()))
    return picture / length if length > 1e-3 else np.zeros_like(picture)
