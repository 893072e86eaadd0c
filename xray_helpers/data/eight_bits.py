"""Pictures of any depth and with transparency -> 8 bits, grey or RGB.

- Transparency is composited on black, radiography's empty background. (The class data has RGBA
  files, all of them opaque, so nothing changes there.)
- 16-bit pictures are divided by 257: 65535 is white, 0 black.
- 32-bit integer and float pictures have no fixed white: the smallest of the ranges 0-1 (floats
  only), 0-255 and 0-65535 that holds all values is taken as black to white; if none does, the
  picture's own minimum and maximum are.
"""

import numpy as np
from PIL import Image


def to_8_bits(image: Image.Image) -> Image.Image:
    """Any Pillow image -> mode L or RGB, 8 bits; the rules are the module's.

    Raises:
        ValueError: pixels that are no numbers, or a mode that Pillow cannot convert.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_scale(np.asarray(image), image.mode))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _scale(values: np.ndarray, mode: str) -> np.ndarray:
    """Numbers of more than 8 bits, shape (height, width) -> uint8; see above."""
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("pixels that are no numbers")
    low, high = float(values.min()), float(values.max())
    whites = {"F": (1, 255, 65535), "I": (255, 65535)}.get(mode, (65535,))
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        values, white = values - low, high - low or 1
    return np.round(values * (255 / white)).astype(np.uint8)
