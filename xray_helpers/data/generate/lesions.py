"""What a disease adds to a chest: only the signs that radiologists name.

- pneumonia_bac: one lobe consolidated. Fluid fills the air spaces: dense, even, bounded by the
  fissure, the neighbouring heart border or diaphragm no longer seen, sometimes with the still
  air-filled bronchi as dark branches (air bronchograms).
- pneumonia_vir: interstitial. Thickened bronchial walls and a net of fine lines, from the hila
  outwards in both lungs; the air spaces stay open.
- covid: ground glass. Hazy patches in both lungs, near the chest wall and in the lower zones,
  through which the vessels are still seen.

After Hansell et al., Fleischner Society glossary of terms (Radiology 2008), and Wong et al.,
frequency and distribution of chest radiographic findings in covid-19 (Radiology 2020).
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from xray_helpers.data.generate.anatomy import Chest
from xray_helpers.data.generate.patient import SIDES, hilum
from xray_helpers.data.generate.shapes import Shape, branches, drawn, mottle, soft


@dataclass(frozen=True)
class Signs:
    """What a disease changes: float32 arrays (size, size), and the mask, bool (size, size)."""

    filled: np.ndarray  # the share of the air that is replaced by fluid, 0 to 1
    streaks: np.ndarray  # attenuation of thickened walls
    hides: float  # how much the vessels vanish where the air is filled, 0 to 1
    mask: np.ndarray


def signs(label: str, rng: np.random.Generator, chest: Chest) -> Signs:
    """The signs of `label` in a chest; the same generator state gives the same lesions."""
    none = np.zeros_like(chest.air)
    if label == "normal":
        return Signs(none, none, 0.0, np.zeros(none.shape, dtype=bool))
    if label == "pneumonia_bac":
        filled = _consolidation(rng, chest)
        return Signs(filled, none, 0.9, _mask(filled, chest, 0.25))
    if label == "covid":
        filled = _ground_glass(rng, chest)
        return Signs(filled, none, 0.25, _mask(filled, chest, 0.25))
    if label == "pneumonia_vir":
        weight, streaks, haze = _interstitial(rng, chest)
        return Signs(haze, streaks, 0.0, _mask(weight, chest, 0.25))
    raise ValueError(f"No picture can be drawn for the class {label!r}.")


def _mask(strength: np.ndarray, chest: Chest, above: float) -> np.ndarray:
    """Where the strength of a sign is above a level, inside the lungs."""
    inside = (chest.lungs[-1] + chest.lungs[1]) > 0.5
    return inside & (gaussian_filter(strength, 1.5) > above)


def _consolidation(rng: np.random.Generator, chest: Chest) -> np.ndarray:
    side = int(rng.choice(SIDES))
    v, depth = chest.v, chest.depth[side]
    fissure = rng.normal(-0.06, 0.03)
    tilt = rng.normal(0.05, 0.08)
    above = soft(fissure + tilt * depth - v, 0.02)
    zone = rng.choice(["upper", "middle", "lower"], p=[0.3, 0.25, 0.45])
    if zone == "upper":
        lobe, core = above, (rng.uniform(0.3, 0.7), rng.uniform(-0.45, -0.15))
    elif zone == "middle":  # the middle lobe, on the left the lingula: beside the heart
        lobe = (1 - above) * soft(0.7 - depth, 0.1)
        core = (rng.uniform(0.1, 0.4), rng.uniform(0.05, 0.3))
    else:
        lobe, core = 1 - above, (rng.uniform(0.3, 0.8), rng.uniform(0.15, 0.4))
    # It starts at one point of the lobe and has spread so far, with a fluffy border.
    away = np.hypot((depth - core[0]) * 0.55, v - core[1])
    spread = rng.uniform(0.3, 0.5)
    uneven = 0.06 * mottle(rng, chest.view, 0.12) + 0.03 * mottle(rng, chest.view, 0.05)
    filled = rng.uniform(0.75, 1.0) * lobe * soft(spread - away + uneven, 0.08)
    if rng.random() < 0.6:
        tree = chest.patient.tree[side]
        open_bronchi = branches(tree, tree.generation <= 3, -0.004, np.ones(len(tree.width)))
        filled = filled * (1 - 0.5 * gaussian_filter(drawn(chest.view, open_bronchi), 0.6))
    return (filled * (chest.lungs[side] > 0.01)).astype(np.float32)


def _ground_glass(rng: np.random.Generator, chest: Chest) -> np.ndarray:
    v = chest.v
    filled = np.zeros_like(v)
    strength = rng.uniform(0.65, 0.95)
    for side in SIDES:
        depth = chest.depth[side]
        side_strength = strength * rng.uniform(0.75, 1.0)
        patches = np.zeros_like(v)
        ragged = 0.25 * mottle(rng, chest.view, 0.1)
        for _ in range(rng.integers(2, 5)):
            at_depth, at_v = rng.uniform(0.65, 1.0), rng.normal(0.22, 0.13)
            wide, high = rng.uniform(0.3, 0.5), rng.uniform(0.13, 0.24)
            away = ragged + np.hypot((depth - at_depth) / wide, (v - at_v) / high)
            patches = np.maximum(patches, rng.uniform(0.6, 1.0) * soft(1 - away, 0.5))
        filled += side_strength * patches * (chest.lungs[side] > 0.01)
    grain = 1 + 0.18 * mottle(rng, chest.view, 0.03)
    return np.clip(filled * grain, 0, 0.9).astype(np.float32)


def _interstitial(
    rng: np.random.Generator, chest: Chest
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where it is (0 to 1), the attenuation of the streaks, the share of air that is hazed."""
    u, v = chest.u, chest.v
    strength = rng.uniform(1.2, 2.2)
    weight = np.zeros_like(u)
    walls = []
    for side in SIDES:
        hu, hv = hilum(side)
        away = np.hypot(u - hu, 0.8 * (v - hv - 0.08))
        reach = rng.uniform(0.35, 0.5)
        weight += rng.uniform(0.75, 1.0) * np.exp(-((away / reach) ** 2)) * chest.lungs[side]
        tree = chest.patient.tree[side]
        walls += branches(tree, tree.generation <= 4, 0.016, np.full(len(tree.width), 0.8))
        # Bronchi that run towards the viewer are seen as rings.
        for end in tree.ends[(tree.generation == 1) | (tree.generation == 2), 1]:
            if rng.random() < 0.25:
                walls.append(Shape(_ring(*end, 0.022), 1.0, 0.013))
    weight *= np.clip(1 + 0.2 * mottle(rng, chest.view, 0.25), 0.4, None)
    # The zero lines of a smooth texture make a net, like thickened septa.
    net = np.exp(-((mottle(rng, chest.view, 0.05) / 0.3) ** 2))
    net += 0.7 * np.exp(-((mottle(rng, chest.view, 0.09) / 0.18) ** 2))
    streaks = (
        strength * weight * (0.13 * gaussian_filter(drawn(chest.view, walls), 0.7) + 0.08 * net)
    )
    return weight, streaks.astype(np.float32), (0.08 * strength * weight).astype(np.float32)


def _ring(u: float, v: float, radius: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 12)
    return np.stack([u + radius * np.cos(turn), v + radius * np.sin(turn)], axis=1)
