"""A made-up patient and how they stood: everything that is drawn by lot about an anatomy.

Every length is in the patient's own coordinates: `u` runs from the patient's right (-1, the left
of the picture) to the left (+1), `v` from the neck (-1) down to the belly (+1). A `View` says
where these coordinates fall on the picture, so that a second picture of a patient has the same
anatomy in another position. Side -1 is the patient's right lung, +1 the left lung.
"""

import math
from dataclasses import dataclass, field

import numpy as np

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
