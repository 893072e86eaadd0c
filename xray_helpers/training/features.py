"""What the frozen part of a model says about pictures, computed once and kept on disk."""

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from xray_helpers.paths import cache_folder
from xray_helpers.progress import progress_bar

BATCH = 32
VERSION = 1


def model_outputs(
    model: keras.Model, pictures: np.ndarray, *, progress: str | None = None
) -> list[np.ndarray]:
    """All outputs of `model` for `pictures`, batch by batch, in order.

    Args:
        model: takes (n, size, size, 3) float32, RGB 0 to 255.
        pictures: (n, size, size, 3), any number type.
        progress: text of a progress bar; None for none.

    Returns:
        One float32 array (n, …) for each output.
    """
    arrays: list[np.ndarray] = []
    size = min(BATCH, len(pictures))
    with progress_bar(progress, len(pictures)) as bar:
        for start in range(0, len(pictures), size):
            batch = pictures[start : start + size].astype(np.float32)
            kept = len(batch)
            # Every batch has the same shape, so that TensorFlow compiles the model only once.
            batch = np.pad(batch, [(0, size - kept), *[(0, 0)] * 3], "edge")
            outputs = model.predict_on_batch(batch)
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            if not arrays:
                arrays = [np.empty((len(pictures), *o.shape[1:]), o.dtype) for o in outputs]
            for array, output in zip(arrays, outputs, strict=True):
                array[start : start + kept] = output[:kept]
            bar.update(kept)
    return arrays


def frozen_outputs(
    frozen: keras.Model, pictures: np.ndarray, *, progress: str | None = "Frozen features"
) -> list[np.ndarray]:
    """`model_outputs` of a frozen part, from the cache on disk where it was computed before.

    The cache is keyed by content: the layers, their weights and the pixels. Where it cannot be
    written, the outputs are computed each time.
    """
    folder = cache_folder() / "features" / _key(frozen, pictures)
    if folder.is_dir():
        files = sorted(folder.glob("*.npy"))
        return [np.load(file, mmap_mode="r") for file in files]
    outputs = model_outputs(frozen, pictures, progress=progress)
    _keep(folder, outputs)
    return outputs


def _key(frozen: keras.Model, pictures: np.ndarray) -> str:
    digest = hashlib.sha256(f"v{VERSION} {keras.__version__} {pictures.shape}".encode())
    digest.update(json.dumps(_structure(frozen)).encode())
    for weight in frozen.weights:
        digest.update(np.ascontiguousarray(weight).data)
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()[:32]


def _structure(model: keras.Model) -> list:
    """The layers and their settings, without the names that Keras counts up."""
    return [
        [type(op).__name__, {k: str(v) for k, v in op.get_config().items() if k != "name"}]
        for op in model.operations
    ]


def _keep(folder: Path, outputs: Sequence[np.ndarray]) -> None:
    """Write the outputs beside their place, then rename: what has the name is whole."""
    part = folder.with_name(f".{folder.name}.{os.getpid()}.{secrets.token_hex(3)}.part")
    try:
        part.mkdir(parents=True)
        for i, output in enumerate(outputs):
            np.save(part / f"{i:02d}.npy", output)
        part.rename(folder)
    except OSError:
        pass  # a full disk, a folder that cannot be written, or another run that was quicker
    finally:
        if part.is_dir():
            for file in part.iterdir():
                file.unlink(missing_ok=True)
            part.rmdir()
