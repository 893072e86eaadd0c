"""The chest of a made-up patient, as layers of X-ray attenuation.

A radiograph shows how much each ray was weakened on its way. So the chest is not painted: each
organ adds the attenuation of its thickness (bone much, soft tissue some) and the lungs take
attenuation away, because they are full of air. Film and noise come later, in `film.py`.

Every shape is written in the patient's own coordinates: `u` runs from the patient's right
(-1, the left of the picture) to the left (+1), `v` from the neck (-1) down to the belly (+1).
A `View` says where these coordinates fall on the picture, so that a second picture of a patient
has the same anatomy in another position. Side -1 is the patient's right lung, +1 the left lung.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter

SIDES = (-1, 1)


@dataclass(frozen=True)
class Tree:
    """The n pieces of the bronchi and vessels of a lung, which run side by side."""

    ends: np.ndarray  # float64 (n, 2, 2): start and end, each as u, v
    width: np.ndarray  # float64 (n,), in u
    generation: np.ndarray  # int (n,): 0 at the hilum, growing towards the pleura


@dataclass(frozen=True)
class Patient:
    """What stays the same in every picture of a patient. Lengths are in u and v."""

    width: float  # of the rib cage, 1 is average
    apex: float  # v of the top of the lungs
    dome: tuple[float, float]  # v of the right and left diaphragm domes
    turn: float  # how far the mediastinum is moved sideways (a slightly turned patient)
    heart: float  # size of the heart, 1 is average
    heart_tilt: float  # radians
    waist: float  # width of the upper mediastinum
    flesh: float  # thickness of the soft tissue
    bone: float  # density of the bones
    rib_spacing: float
    rib_drop: float
    rib_width: float
    clavicle: float  # v of the inner ends of the clavicles
    arms: float  # u of the inner edge of the arms
    breast: float  # strength of the breast shadows, 0 for most patients
    bubble: float  # strength of the gas in the stomach
    vessels: float  # how plainly the vessels are seen
    tree: dict[int, Tree] = field(repr=False)  # of each lung


@dataclass(frozen=True)
class View:
    """Where a picture of `size` pixels shows the patient."""

    size: int
    angle: float  # radians
    shift: tuple[float, float]  # in picture widths
    scale: float
    breath: float  # how much lower than usual the diaphragm stands, in v

    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """The u and the v of each pixel, two float32 arrays (size, size)."""
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) * (2 / self.size) - 1
        x = axis[None, :] - 2 * self.shift[0]
        y = axis[:, None] - 2 * self.shift[1]
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        u = (cos * x + sin * y) / self.scale
        v = (-sin * x + cos * y) / self.scale
        return u.astype(np.float32), v.astype(np.float32)

    def pixels(self, points: np.ndarray, zoom: int = 1) -> np.ndarray:
        """The pixel positions (n, 2) of points in u, v (n, 2), on a picture `zoom` times larger."""
        u, v = points.T
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        x = self.scale * (cos * u - sin * v) + 2 * self.shift[0]
        y = self.scale * (sin * u + cos * v) + 2 * self.shift[1]
        return (np.stack([x, y], axis=-1) + 1) * (self.size * zoom / 2)


@dataclass(frozen=True)
class Chest:
    """A patient seen in a view: float32 arrays (size, size)."""

    patient: Patient
    view: View
    u: np.ndarray
    v: np.ndarray
    solid: np.ndarray  # attenuation of everything but air and vessels of the lungs
    vessels: np.ndarray  # attenuation of the vessels of the lungs
    air: np.ndarray  # attenuation that the air of the lungs takes away
    lungs: dict[int, np.ndarray]  # each lung as far as it is seen beside the heart, 0 to 1
    depth: dict[int, np.ndarray]  # 0 at the mediastinum, 1 at the chest wall


# --- small tools ----------------------------------------------------------------------------


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


# --- the patient ----------------------------------------------------------------------------


def around(rng: np.random.Generator, mean: float, spread: float) -> float:
    """A normal random number, cut off at two and a half spreads: no monsters."""
    return mean + spread * min(max(rng.normal(), -2.5), 2.5)


def new_patient(rng: np.random.Generator) -> Patient:
    """A patient by chance."""
    right = around(rng, 0.45, 0.03)
    return Patient(
        width=around(rng, 1.0, 0.035),
        apex=around(rng, -0.74, 0.03),
        dome=(right, right + around(rng, 0.05, 0.02)),
        turn=around(rng, 0.0, 0.025),
        heart=around(rng, 1.0, 0.06),
        heart_tilt=around(rng, 0.65, 0.12),
        waist=around(rng, 0.15, 0.015),
        flesh=around(rng, 1.0, 0.05),
        bone=rng.uniform(0.85, 1.15),
        rib_spacing=around(rng, 0.135, 0.008),
        rib_drop=around(rng, 0.36, 0.03),
        rib_width=around(rng, 0.036, 0.002),
        clavicle=around(rng, -0.56, 0.05),
        arms=around(rng, 0.96, 0.03),
        breast=max(0.0, around(rng, -0.05, 0.12)),
        bubble=max(0.0, around(rng, 0.1, 0.25)),
        vessels=rng.uniform(0.75, 1.1),
        tree={side: _tree(rng, side) for side in SIDES},
    )


def new_view(rng: np.random.Generator, size: int) -> View:
    """How the patient stood for one picture."""
    return View(
        size=size,
        angle=around(rng, 0, 0.03),
        shift=(around(rng, 0, 0.018), around(rng, 0, 0.018)),
        scale=around(rng, 1.02, 0.025),
        breath=around(rng, 0, 0.025),
    )


def hilum(side: int) -> tuple[float, float]:
    """Where bronchi and vessels enter a lung, in u and v."""
    return (0.17 * side, -0.10 if side < 0 else -0.14)


def _tree(rng: np.random.Generator, side: int) -> Tree:
    """The tree of bronchi and vessels of one lung: each branch forks into two thinner ones."""
    ends, widths, generations = [], [], []
    # Angles from straight outwards, positive downwards: more and wider vessels run to the base.
    angle = np.array([-1.15, -0.45, 0.25, 0.8, 1.2]) + rng.normal(0, 0.1, size=5)
    width = np.array([0.026, 0.020, 0.022, 0.032, 0.028])
    length = rng.uniform(0.15, 0.21, size=5)
    at = np.tile(hilum(side), (5, 1))
    for generation in range(5):
        # Two bent pieces look like a vessel where one straight line looks like a wire.
        for _ in range(2):
            angle = angle + rng.normal(0, 0.12, size=len(angle))
            step = np.stack([side * np.cos(angle), np.sin(angle)], axis=1) * length[:, None] / 2
            ends.append(np.stack([at, at + step], axis=1))
            widths.append(width)
            generations.append(np.full(len(width), generation))
            at = at + step
        at, angle, width, length = (np.repeat(x, 2, axis=0) for x in (at, angle, width, length))
        fork = np.abs(rng.normal(0.42, 0.15, size=len(angle)))
        angle = angle + fork * np.tile([-1, 1], len(angle) // 2)
        length = length * rng.uniform(0.70, 0.92, size=len(length))
        width = 0.72 * width
    return Tree(np.concatenate(ends), np.concatenate(widths), np.concatenate(generations))


# --- the layers -----------------------------------------------------------------------------


def chest(patient: Patient, view: View) -> Chest:
    """The attenuation layers of a patient in a view."""
    u, v = view.grid()
    middle = u - patient.turn * (1 - 0.4 * np.abs(v))  # what lies far from the spine shifts most
    heart = _heart(patient, middle, v, view.breath)
    lungs, depth, air = {}, {}, np.zeros_like(u)
    for side in SIDES:
        inside, lung_depth, thickness = _lung(patient, view, u, v, side)
        depth[side] = lung_depth
        lungs[side] = inside * (1 - soft(heart, 0.03))
        # Before and behind the heart there is little lung.
        air += thickness * (1 - 0.80 * soft(heart, 0.03))
    solid = _flesh(patient, u, v) + 0.24 * np.sqrt(np.clip(heart, 0, None))
    solid += _mediastinum(patient, middle, v)
    solid += patient.bone * (
        _spine(patient, u, v) + _ribs(patient, view) + _shoulders(patient, view)
    )
    solid -= _gas(patient, middle, v)
    vessels = patient.vessels * _vessels(patient, view, u, v) * (lungs[-1] + lungs[1])
    return Chest(patient, view, u, v, solid, vessels, air, lungs, depth)


def _outer(patient: Patient, v: np.ndarray) -> np.ndarray:
    """u of the chest wall at each v."""
    top = patient.apex
    low = ((-0.5, 0.46), (-0.2, 0.59), (0.2, 0.67), (0.6, 0.705), (1.0, 0.70))
    return patient.width * profile(v, (-1.0, 0.12), (top - 0.02, 0.17), (top + 0.08, 0.33), *low)


def _lung(
    patient: Patient, view: View, u: np.ndarray, v: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one lung: where it is (0 to 1), depth from inside to outside, attenuation of its air."""
    away = side * u
    outer = _outer(patient, v)
    inner = profile(
        v, (-1, 0.15), (-0.7, 0.14), (-0.45, 0.11), (-0.1, 0.09), (0.4, 0.08), (1, 0.06)
    )
    depth = np.clip((away - inner) / np.maximum(outer - inner, 0.05), 0, 1)
    dome = patient.dome[0 if side < 0 else 1] + view.breath
    # The dome falls off gently to the heart, steeply to the chest wall: the costophrenic angle.
    fall = np.clip((away - 0.32) / 0.38, -1, 1.2) ** 2
    floor = dome + np.where(away > 0.32, 0.20 * fall + 0.07 * fall**3, 0.10 * fall)
    top = patient.apex + 0.10 * (2 * depth - 1) ** 2
    inside = (
        soft(outer - away, 0.014)
        * soft(away - inner, 0.02)
        * soft(floor - v, 0.014)
        * soft(v - top, 0.025)
    )
    # Thickest in the middle; the apex and the last centimetres above the diaphragm are thin.
    across = np.sqrt(1 - 0.7 * (2 * depth - 0.95) ** 2)
    upwards = 0.5 + 0.5 * soft(v - top - 0.12, 0.2)
    downwards = 0.6 + 0.4 * soft(floor - v - 0.05, 0.12)
    return inside, depth, 0.62 * inside * across * upwards * downwards


def _heart(patient: Patient, u: np.ndarray, v: np.ndarray, breath: float) -> np.ndarray:
    """How far inside the heart each point lies (see `blob`); its borders are the silhouette."""
    low, size = 0.22 + breath, patient.heart
    parts = (
        blob(u, v, (0.11, low + 0.04), (0.36 * size, 0.25 * size), patient.heart_tilt),
        blob(u, v, (-0.04, low), (0.17 * size, 0.28 * size), 0.1),
        blob(u, v, (0.06, low - 0.24), (0.13, 0.20), -0.25),  # the pulmonary trunk
    )
    # Like the maximum of the three, but without a notch where two meet.
    return np.log(sum(np.exp(12 * part) for part in parts)) / 12


def _flesh(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Trunk, neck, arms and breasts."""
    side = np.abs(u)
    neck = ((-1.3, 0.2), (-0.98, 0.21), (-0.88, 0.30), (-0.78, 0.62))
    chest_wall = ((-0.66, 0.86), (-0.4, 0.86), (0.0, 0.81), (0.4, 0.80), (1.2, 0.82))
    wide = patient.width * profile(v, *neck, *chest_wall)
    deep = profile(v, (-1.3, 0.65), (-0.9, 0.7), (-0.6, 0.9), (0, 1.08), (0.5, 1.2), (1.2, 1.25))
    trunk = deep * np.sqrt(np.clip(1 - (side / wide) ** 2, 0, 1))
    hang = profile(v, (-1.3, 0.80), (-0.7, 0.78), (-0.5, 0.85), (0.2, 1.02), (1.2, 1.1))
    arm = np.sqrt(np.clip(1 - ((side - patient.arms * hang - 0.17) / 0.2) ** 2, 0, 1))
    flesh = trunk + 0.42 * arm * soft(v + 0.8, 0.06)
    if patient.breast > 0:
        under = np.sqrt(np.clip(blob(side, v, (0.42, 0.30), (0.30, 0.26)), 0, None))
        flesh += patient.breast * under
    return patient.flesh * flesh


def _mediastinum(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Great vessels, aortic arch and descending aorta, less the air of trachea and bronchi."""
    half = patient.waist * profile(
        v, (-1.2, 0.85), (-0.6, 0.95), (-0.3, 1.0), (0, 0.95), (1.2, 0.8)
    )
    band = 0.22 * np.sqrt(np.clip(1 - (u / half) ** 2, 0, 1)) * soft(v + 0.8, 0.15)
    arch = 0.14 * soft(blob(u, v, (0.105, -0.31), (0.095, 0.085)), 0.12)
    aorta = 0.07 * soft(0.05 - np.abs(u - 0.10 - 0.03 * v), 0.015) * soft(v + 0.3, 0.05)
    trachea = 0.24 * soft(0.038 - np.abs(u + 0.01), 0.012) * soft(-0.24 - v, 0.04)
    fork = soft(0.022 - np.abs(v + 0.24 - 0.55 * np.abs(u)), 0.012) * soft(0.17 - np.abs(u), 0.03)
    return band + arch + aorta - trachea - 0.12 * fork


def _spine(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vertebrae with darker discs between them, pedicles and spinous processes."""
    step = patient.rib_spacing
    phase = (v / step) % 1 - 0.5  # -0.5 to 0.5 from one disc to the next
    body = soft(0.075 - np.abs(u) - 0.02 * np.abs(phase), 0.012)
    disc = soft(np.abs(phase) - 0.36, 0.06)
    pedicle = np.exp(-(((np.abs(u) - 0.052) / 0.014) ** 2) - ((phase + 0.1) * step / 0.02) ** 2)
    spinous = np.exp(-((u / 0.012) ** 2) - ((phase - 0.25) * step / 0.03) ** 2)
    return body * (0.18 - 0.09 * disc) + 0.10 * pedicle + 0.09 * spinous


def _ribs(patient: Patient, view: View) -> np.ndarray:
    """Ribs: rings around the chest that slope down from the spine to the front.

    The half behind is plain, the half in front fainter and ends in cartilage, unseen.
    """
    behind: list[Shape] = []
    before: list[Shape] = []
    for number in range(12):
        start = patient.apex + 0.02 + patient.rib_spacing * (number - 0.4)
        drop = patient.rib_drop * min(1.0, 0.55 + 0.09 * number)
        halves = [(behind, 8, 95, patient.rib_width)]
        if number < 9:
            halves.append((before, 85, 142, 1.15 * patient.rib_width))
        for shapes, first, last, wide in halves:
            turn = np.radians(np.linspace(first, last, 28))
            v = start + drop * (1 - np.cos(turn)) / 2 - 0.02 * np.sin(2 * turn)
            u = (_outer(patient, v) + 0.012) * np.sin(turn)
            for side in SIDES:
                middle = np.stack([side * u, v], axis=1)
                # A bone is a tube: a bright rim of hard bone round a fainter core.
                for share, value in ((0.5, 0.9), (0.27, 0.62)):
                    half = np.array([0, share * wide])
                    shapes.append(
                        Shape(np.concatenate([middle - half, middle[::-1] + half]), value)
                    )
    return 0.19 * drawn(view, behind) + 0.12 * drawn(view, before)


def _shoulders(patient: Patient, view: View) -> np.ndarray:
    """Clavicles, shoulder blades and upper arms."""
    bones, blades = [], []
    along, around = np.linspace(0, 1, 20), np.linspace(0, 2 * np.pi, 24)
    for side in SIDES:
        at = np.array([side * patient.width, 1.0])
        blade = [(0.88, -0.64), (0.66, -0.60), (0.61, -0.40), (0.67, -0.12), (0.74, -0.06)]
        blade = np.array([*blade, (0.84, -0.30), (0.92, -0.5)]) * at
        blades += [Shape(blade, 0.5), Shape(blade[3:6], 0.8, 0.02)]
        joint = np.array([0.97, -0.62]) * at
        shaft = np.array([joint, (side * (patient.arms + 0.25), 1.3)])
        head = joint + 0.10 * np.stack([np.cos(around), np.sin(around)], axis=1)
        bones += [Shape(shaft, 0.6, 0.11), Shape(head, 0.6), Shape(shaft, 0.42, 0.06)]
        v = patient.clavicle - 0.15 * along + 0.035 * np.sin(2 * np.pi * along)
        u = side * patient.width * (0.07 + 0.73 * along)
        collar = np.stack([u, v + side * patient.turn], axis=1)
        bones += [Shape(collar, 1.0, 0.050), Shape(collar, 0.72, 0.028)]
    blur = view.size / 256
    return 0.22 * gaussian_filter(drawn(view, bones), 0.6 * blur) + 0.12 * gaussian_filter(
        drawn(view, blades), 1.5 * blur
    )


def _vessels(patient: Patient, view: View, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The vessels of both lungs, thick and plain at the hilum, fading towards the pleura."""
    shapes, roots = [], np.zeros_like(u)
    for side in SIDES:
        tree, (hilum_u, hilum_v) = patient.tree[side], hilum(side)
        everything = np.ones(len(tree.width), dtype=bool)
        shapes += branches(tree, everything, 0.0, 0.95 * 0.78**tree.generation)
        roots += np.exp(-(((u - hilum_u) / 0.07) ** 2) - ((v - hilum_v) / 0.11) ** 2)
    fine = gaussian_filter(drawn(view, shapes), 0.6 * view.size / 256)
    return 0.24 * fine + 0.10 * roots


def _gas(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Attenuation that the gas in the stomach takes away, below the left diaphragm."""
    if patient.bubble == 0:
        return np.zeros_like(u)
    low = patient.dome[1] + 0.17
    return 0.5 * patient.bubble * soft(blob(u, v, (0.34, low), (0.2, 0.09), 0.15), 0.15)
