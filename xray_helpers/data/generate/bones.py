"""Spine, ribs and shoulders of a patient, as layers of X-ray attenuation."""

import numpy as np
from scipy.ndimage import gaussian_filter

from xray_helpers.data.generate.patient import SIDES, Patient, View
from xray_helpers.data.generate.shapes import Shape, drawn, profile, soft


def chest_wall(patient: Patient, v: np.ndarray) -> np.ndarray:
    """u of the chest wall at each v."""
    top = patient.apex
    low = ((-0.5, 0.46), (-0.2, 0.59), (0.2, 0.67), (0.6, 0.705), (1.0, 0.70))
    return patient.width * profile(v, (-1.0, 0.12), (top - 0.02, 0.17), (top + 0.08, 0.33), *low)


def spine(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Vertebrae with darker discs between them, pedicles and spinous processes."""
    step = patient.rib_spacing
    phase = (v / step) % 1 - 0.5  # -0.5 to 0.5 from one disc to the next
    body = soft(0.075 - np.abs(u) - 0.02 * np.abs(phase), 0.012)
    disc = soft(np.abs(phase) - 0.36, 0.06)
    pedicle = np.exp(-(((np.abs(u) - 0.052) / 0.014) ** 2) - ((phase + 0.1) * step / 0.02) ** 2)
    spinous = np.exp(-((u / 0.012) ** 2) - ((phase - 0.25) * step / 0.03) ** 2)
    return body * (0.18 - 0.09 * disc) + 0.10 * pedicle + 0.09 * spinous


def ribs(patient: Patient, view: View) -> np.ndarray:
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
            u = (chest_wall(patient, v) + 0.012) * np.sin(turn)
            for side in SIDES:
                middle = np.stack([side * u, v], axis=1)
                # A bone is a tube: a bright rim of hard bone round a fainter core.
                for share, value in ((0.5, 0.9), (0.27, 0.62)):
                    half = np.array([0, share * wide])
                    shapes.append(
                        Shape(np.concatenate([middle - half, middle[::-1] + half]), value)
                    )
    return 0.19 * drawn(view, behind) + 0.12 * drawn(view, before)


def shoulders(patient: Patient, view: View) -> np.ndarray:
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
