"""The tools that a chest is drawn with: soft edges, curves, ellipses, textures, lines."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

from xray_helpers.data.generate.patient import Tree, View


def soft(distance: np.ndarray, edge: float = 0.012) -> np.ndarray:
    """1 where the signed distance is inside, 0 outside, a smooth step `edge` wide between."""
    return 0.5 + 0.5 * np.tanh(distance / edge)


def profile(at: np.ndarray, *points: tuple[float, float]) -> np.ndarray:
    """A smooth curve through points (position, value), read off at any array of positions."""
    return np.interp(at, *_table(points)).astype(np.float32)


def smooth(picture: np.ndarray, sigma: float) -> np.ndarray:
    """A wide Gaussian blur of a float32 picture, computed on a quarter of the size to save time."""
    high, wide = picture.shape
    small = Image.fromarray(picture).resize((wide // 4, high // 4), Image.Resampling.BOX)
    blurred = gaussian_filter(np.asarray(small), sigma / 4, truncate=2)
    return np.asarray(Image.fromarray(blurred).resize((wide, high), Image.Resampling.BILINEAR))


@lru_cache(maxsize=256)  # the same curves are read off again and again
def _table(points: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    knots, values = zip(*points, strict=True)
    positions = np.linspace(knots[0], knots[-1], 200)
    return positions, PchipInterpolator(knots, values)(positions)


def blob(
    u: np.ndarray,
    v: np.ndarray,
    centre: tuple[float, float],
    axes: tuple[float, float],
    tilt: float = 0.0,
) -> np.ndarray:
    """How far inside an ellipse each point lies: 1 at the centre, 0 on the edge, then negative."""
    cos, sin = math.cos(tilt), math.sin(tilt)
    du, dv = u - centre[0], v - centre[1]
    along, across = (cos * du + sin * dv) / axes[0], (cos * dv - sin * du) / axes[1]
    return 1 - np.sqrt(along**2 + across**2)


def mottle(rng: np.random.Generator, view: View, cell: float) -> np.ndarray:
    """Smooth random texture about 0 with spread about 1, its grains `cell` wide.

    It hangs on the patient's coordinates, so it moves with the patient from view to view.
    """
    side = int(4 / cell) + 4  # u and v from -2 to 2, and some more
    lattice = gaussian_filter(rng.normal(size=(side, side)).astype(np.float32), 0.7, mode="wrap")
    lattice /= lattice.std()
    # u and v grow evenly along rows and columns, so Pillow can read the lattice off quickly.
    (u, v), pixel = view.grid(), view.size - 1
    per_column = [float(w[0, -1] - w[0, 0]) / pixel / cell for w in (u, v)]
    per_row = [float(w[-1, 0] - w[0, 0]) / pixel / cell for w in (u, v)]
    start = [(float(w[0, 0]) + 2) / cell for w in (u, v)]
    at = (per_column[0], per_row[0], start[0], per_column[1], per_row[1], start[1])
    picture = Image.fromarray(lattice).transform(
        (view.size, view.size), Image.Transform.AFFINE, at, Image.Resampling.BICUBIC
    )
    return np.asarray(picture)


@dataclass(frozen=True)
class Shape:
    """A line (n, 2) of a width in u, or without width a filled polygon; value 0 to 1."""

    points: np.ndarray
    value: float
    width: float = 0.0


def drawn(view: View, shapes: list[Shape]) -> np.ndarray:
    """Lines and polygons as a float32 picture (size, size), 0 to 1, with smooth edges.

    Later shapes cover earlier ones. Drawn twice too large, then shrunk.
    """
    zoom = 2
    canvas = Image.new("L", (view.size * zoom,) * 2)
    pen = ImageDraw.Draw(canvas)
    # All points at once and as plain numbers: hundreds of small arrays would take long.
    points = np.concatenate([shape.points for shape in shapes])
    numbers = view.pixels(points, zoom).ravel().tolist()
    start = 0
    for shape in shapes:
        corners = numbers[start : start + 2 * len(shape.points)]
        start += len(corners)
        fill = int(255 * shape.value)
        if shape.width == 0:
            pen.polygon(corners, fill=fill)
        else:
            wide = int(shape.width * view.scale * view.size * zoom / 2 + 0.5)
            pen.line(corners, fill=fill, width=max(1, wide), joint="curve")
    return np.asarray(canvas.reduce(zoom), dtype=np.float32) / 255


def branches(tree: Tree, chosen: np.ndarray, wider: float, value: np.ndarray) -> list[Shape]:
    """The chosen pieces of a tree (bool (n,)) as lines, widened by `wider`, values (n,).

    Thick pieces come last and cover the thin ones.
    """
    order = np.flatnonzero(chosen)[::-1]
    widths, values = (tree.width + wider).tolist(), value.tolist()
    return [Shape(tree.ends[i], values[i], widths[i]) for i in order]
