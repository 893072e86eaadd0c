"""From attenuation to a grey picture: exposure, scatter, noise, and no shortcut.

A sick lung is brighter, so the mean grey value alone would tell some classes apart, and a model
could score without having looked at a lung. Therefore each picture is developed twice, with and
without the signs, and the one with the signs is then given the frame, the mean and the spread of
the one without. These are then drawn by patient, independent of the class.
`benchmarks/generated_floor.py` checks it, and so does the audit (`xray data check`).
"""

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from xray_helpers.data.generate.anatomy import Chest, chest
from xray_helpers.data.generate.lesions import Signs, signs
from xray_helpers.data.generate.patient import around, new_patient, new_view
from xray_helpers.data.generate.shapes import smooth

MEASURED_AT = 224  # side of the picture that mean, spread and strips are measured on
STRIP = 8  # width of a border strip on that picture
FRAME = 0.10  # share of the side, at each of the four, in which no sign of a disease shows
SOFT_EDGE = 0.06  # share of the side in which the signs come in


@dataclass(frozen=True)
class Film:
    """How one picture was taken and printed."""

    level: float  # attenuation that comes out middle grey
    contrast: float  # attenuation from dark to bright, small is hard
    scatter: float  # share of the rays that were scattered
    blur: float  # pixels
    noise: float  # grey values
    fog: float  # grey value of unweakened rays
    marker: bool  # a letter R beside the patient's right shoulder


def new_film(rng: np.random.Generator) -> Film:
    """The settings of one picture by chance."""
    return Film(
        level=around(rng, 0.55, 0.02),
        contrast=rng.uniform(0.29, 0.32),
        scatter=rng.uniform(0.15, 0.25),
        blur=rng.uniform(0.45, 0.55),
        noise=rng.uniform(1.2, 1.9),
        fog=rng.uniform(6, 14),
        marker=rng.random() < 0.5,
    )


def draw(label: str, rng: np.random.Generator, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """One made-up chest X-ray of a class.

    Returns the picture, uint8 (size, size), and where the signs of the disease lie, bool
    (size, size), empty for "normal". Classes: covid, normal, pneumonia_bac, pneumonia_vir.
    """
    return draw_again(label, *rng.spawn(2), size)


def draw_again(
    label: str, patient_rng: np.random.Generator, view_rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Like `draw`; equal `patient_rng` give the same patient and lesions in another picture."""
    patient = new_patient(patient_rng)
    body = chest(patient, new_view(view_rng, size))
    film = new_film(view_rng)
    grain = gaussian_filter(view_rng.normal(size=(size, size)).astype(np.float32), 0.6)
    grain /= grain.std()
    found = signs(label, patient_rng, body)
    healthy = signs("normal", patient_rng, body)
    without = to_grey(_develop(body, healthy, film, grain))
    if label == "normal":
        return without, found.mask
    return set_like(_develop(body, found, film, grain), without), found.mask


def _develop(body: Chest, found: Signs, film: Film, grain: np.ndarray) -> np.ndarray:
    """The grey picture, float32 (size, size), about 0 to 255 but not cut off there."""
    size = body.view.size
    seen = 1 - found.hides * found.filled
    weakened = np.clip(body.solid, 0, None) + body.vessels * seen + found.streaks
    weakened = weakened - body.air * (1 - found.filled)
    haze = smooth(weakened, size / 20)
    weakened = weakened + film.scatter * (haze - weakened)
    grey = 1 / (1 + np.exp((film.level - weakened) / film.contrast))
    black = 1 / (1 + math.exp(film.level / film.contrast))
    grey = film.fog + (245 - film.fog) * (grey - black) / (1 - black)
    grey = gaussian_filter(grey, film.blur * size / 256)
    # Where few rays came through, in the bright parts, the grain is coarser.
    grey += film.noise * grain * (0.5 + grey / 255)
    if film.marker:
        _write_r(grey, size)
    return grey


def _write_r(grey: np.ndarray, size: int) -> None:
    letter = Image.new("L", (size, size))
    font = ImageFont.load_default(size=size / 18)
    ImageDraw.Draw(letter).text((0.035 * size, 0.10 * size), "R", fill=230, font=font)
    np.maximum(grey, np.asarray(letter), out=grey)


def to_grey(grey: np.ndarray) -> np.ndarray:
    """Rounded and cut off to uint8."""
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def measured(picture: np.ndarray) -> np.ndarray:
    """Mean, spread, side strips and top and bottom strips of a uint8 picture, float64 (4,).

    Measured as the floor measures them (`xray_helpers.evaluation.floor`).
    """
    small = Image.fromarray(picture).resize((MEASURED_AT,) * 2, Image.Resampling.BILINEAR)
    grey = np.asarray(small, dtype=np.float64)
    sides = (grey[:, :STRIP].mean() + grey[:, -STRIP:].mean()) / 2
    ends = (grey[:STRIP].mean() + grey[-STRIP:].mean()) / 2
    return np.array([grey.mean(), grey.std(), sides, ends])


def set_like(grey: np.ndarray, model: np.ndarray) -> np.ndarray:
    """`grey` as uint8 (size, size) with the frame, the mean and the spread of `model`.

    The outer `FRAME` of the picture is `model`'s, pixel by pixel; within a soft edge begins
    `grey`, whose brightness and contrast are set so that mean and spread of the whole are
    `model`'s. Rounding and cutting off disturb that, so it is repeated.
    """
    size = len(grey)
    edge = np.minimum(np.arange(size), np.arange(size)[::-1]) / size
    inside = np.clip((edge - FRAME) / SOFT_EDGE, 0, 1).astype(np.float32)
    inside = (inside * inside * (3 - 2 * inside))[:, None] * np.ones(size, np.float32)
    inside = np.minimum(inside, inside.T)
    mean, spread = float(model.mean()), float(model.std())
    grey = (grey - grey.mean()) / grey.std()  # so that brightness is added, contrast a factor
    contrast, brightness = spread, mean
    for _ in range(8):
        picture = to_grey(model + inside * (contrast * grey + brightness - model))
        contrast *= spread / float(picture.std())
        brightness += (mean - float(picture.mean())) / float(inside.mean())
    return picture
