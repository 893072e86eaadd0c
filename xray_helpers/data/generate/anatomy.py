"""The chest of a made-up patient, as layers of X-ray attenuation.

A radiograph shows how much each ray was weakened on its way. So the chest is not painted: each
organ adds the attenuation of its thickness (bone much, soft tissue some) and the lungs take
attenuation away, because they are full of air. Film and noise come later, in `film.py`; what u
and v are, `patient.py` says.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from xray_helpers.data.generate.bones import chest_wall, ribs, shoulders, spine
from xray_helpers.data.generate.patient import SIDES, Patient, View, hilum
from xray_helpers.data.generate.shapes import blob, branches, drawn, profile, soft


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
    solid += patient.bone * (spine(patient, u, v) + ribs(patient, view) + shoulders(patient, view))
    solid -= _gas(patient, middle, v)
    vessels = patient.vessels * _vessels(patient, view, u, v) * (lungs[-1] + lungs[1])
    return Chest(patient, view, u, v, solid, vessels, air, lungs, depth)


def _lung(
    patient: Patient, view: View, u: np.ndarray, v: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one lung: where it is (0 to 1), depth from inside to outside, attenuation of its air."""
    away = side * u
    outer = chest_wall(patient, v)
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
