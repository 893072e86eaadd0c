"""What the frozen part of a model says about pictures, computed once and kept on disk."""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from xray_helpers.paths import cache_folder
from xray_helpers.progress import progress_bar

BATCH = 32
VERSION = 2


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

    The cache is keyed by content: the layers, how they are connected, their weights and the
    pixels. Where it cannot be written, or a layer runs code of the student's own, which may change
    under the same name, the outputs are computed each time.
    """
    key = _key(frozen, pictures)
    if key is None:
        return model_outputs(frozen, pictures, progress=progress)
    folder = cache_folder() / "features" / key
    kept = _kept(folder, len(frozen.outputs), len(pictures))
    if kept is not None:
        return kept
    outputs = model_outputs(frozen, pictures, progress=progress)
    _keep(folder, outputs)
    return outputs


def head_output(head: keras.Model, features: Sequence[np.ndarray]) -> np.ndarray:
    """The output of what stands behind a frozen part, for the outputs of that part, (n, …)."""
    arrays = [np.asarray(f) for f in features]
    output = head.predict(arrays if len(arrays) > 1 else arrays[0], batch_size=BATCH, verbose=0)
    return output[0] if isinstance(output, list) else output


def _key(frozen: keras.Model, pictures: np.ndarray) -> str | None:
    """Thirty-two hexadecimal digits for layers, weights and pixels; None where code is unknown."""
    own = (op for op in frozen.operations if not type(op).__module__.startswith("keras."))
    if any(own) or any(isinstance(op, keras.layers.Lambda) for op in frozen.operations):
        return None
    try:
        structure = json.dumps(_structure(frozen))
    except (TypeError, NotImplementedError):
        return None
    digest = hashlib.sha256(f"v{VERSION} {keras.__version__} {pictures.shape}".encode())
    digest.update(structure.encode())
    for weight in frozen.weights:
        digest.update(np.ascontiguousarray(weight).data)
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()[:32]


def _structure(model: keras.Model) -> list:
    """The layers, their settings and connections, without the names that Keras counts up.

    Raises:
        TypeError: something in it is not plain, such as a function of the student's own.
    """
    config = model.get_config()
    places = {layer["name"]: i for i, layer in enumerate(config["layers"])}

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            if item.get("class_name") == "function":
                raise TypeError("a function, of which only the name is known")
            if "keras_history" in item:  # a tensor: which layer's, which call's, which output
                name, *rest = item["keras_history"]
                return [places[name], *rest]
            return {k: plain(v) for k, v in item.items() if k != "name"}
        if isinstance(item, list | tuple):
            return [plain(i) for i in item]
        if isinstance(item, np.ndarray):
            return [str(item.dtype), item.tolist()]
        return item

    ends = keras.tree.map_structure(lambda end: places.get(end, end), config["output_layers"])
    return [plain(config["layers"]), ends]


def _kept(folder: Path, outputs: int, pictures: int) -> list[np.ndarray] | None:
    """What was kept in `folder`; None where nothing was, or where it is not whole any more."""
    try:
        arrays = [np.load(folder / f"{i:02d}.npy", mmap_mode="r") for i in range(outputs)]
        if all(len(array) == pictures for array in arrays):
            return arrays
    except (OSError, ValueError, EOFError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    return None


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
