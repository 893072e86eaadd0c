"""Plant a fault on purpose: a teaching device.

A marker in the corner of one class's pictures is a shortcut that is known to be there. With it a
notebook can show that a network takes the shortcut, that its heat map says so, and what its score
is worth on pictures without the marker. Nothing in the kit plants one by itself.
"""

import numpy as np

from xray_helpers.errors import KitError

CORNERS = ("upper left", "upper right", "lower left", "lower right")
MARGIN = 0.02  # share of the side between the marker and the edges


def plant_marker(
    pictures: np.ndarray,
    rows: np.ndarray,
    corner: str = "lower left",
    share: float = 0.06,
    brightness: int = 235,
) -> np.ndarray:
    """A copy of the pictures in which some have a small bright square in a corner.

    Args:
        pictures: uint8 (n, size, size, 3); not changed.
        rows: which of them get the marker: row numbers, int (k,), or bool (n,).
        corner: one of `CORNERS`.
        share: side of the marker, as a share of the picture's side; at least one pixel.
        brightness: of the marker, 0 to 255.

    Returns:
        uint8 (n, size, size, 3).

    Raises:
        KitError: an unknown corner, or a share outside 0 … 0.5.
    """
    if corner not in CORNERS:
        raise KitError(f"There is no corner {corner!r}; it is one of {', '.join(CORNERS)}.")
    if not 0 < share <= 0.5:
        raise KitError(f"The marker's share is {share}; it must be above 0 and at most 0.5.")
    size = pictures.shape[1]
    side, margin = max(1, round(share * size)), round(MARGIN * size)
    start, end = slice(margin, margin + side), slice(size - margin - side, size - margin)
    across = start if corner.endswith("left") else end
    down = start if corner.startswith("upper") else end
    planted = np.array(pictures)
    marked = planted[rows]
    marked[:, down, across] = brightness
    planted[rows] = marked
    return planted
