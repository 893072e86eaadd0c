"""What a model says about pictures, batch by batch; of a frozen part, computed once."""

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xray_helpers.progress import progress_bar
from xray_helpers.training import cache
from xray_helpers.training.cache_room import cache_limit

# The maps of so many pictures are in memory at once: of 16, VGG16 needs 0.7 GB, of 32 twice that
# and no less time a picture.
BATCH = 16
VERSION = 3


def model_outputs(
    model: keras.Model,
    inputs: np.ndarray | Sequence[np.ndarray],
    *,
    progress: str | None = None,
) -> list[np.ndarray]:
    """All outputs of `model`, batch by batch, in order.

    Args:
        model: takes float32, for instance RGB 0 to 255, (n, size, size, 3).
        inputs: the array it takes, (n, …), any number type, or a list of arrays.
        progress: text of a progress bar; None for none.

    Returns:
        An array (n, …) for each output, of the model's own type; float32 where that is bfloat16.
    """
    inputs = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
    total = len(inputs[0])
    size = min(BATCH, total)
    arrays: list[np.ndarray] = []
    with progress_bar(progress, total) as bar:
        for start in range(0, total, size):
            kept = min(size, total - start)
            batch = [_rows(array, start, size) for array in inputs]
            outputs = model.predict_on_batch(batch if len(batch) > 1 else batch[0])
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            if not arrays:
                arrays = [np.empty((total, *o.shape[1:]), _plain_type(o)) for o in outputs]
            for array, output in zip(arrays, outputs, strict=True):
                array[start : start + kept] = output[:kept]
            bar.update(kept)
    return arrays


def _rows(array: np.ndarray, start: int, size: int) -> np.ndarray:
    """Rows from `start`, float32; the last one again where there are less than `size`.

    Every batch has the same shape, so that TensorFlow compiles the model only once.
    """
    rows = array[start : start + size].astype(np.float32)
    missing = size - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def _plain_type(output: np.ndarray) -> np.dtype:
    """The type of an output; float32, which holds the same numbers, for one that is not numpy's."""
    return output.dtype if output.dtype.isbuiltin == 1 else np.dtype(np.float32)


def frozen_outputs(
    frozen: keras.Model, pictures: np.ndarray, *, progress: str | None = "Frozen features"
) -> list[np.ndarray]:
    """`model_outputs` of a frozen part, from the cache on disk where it was computed before.

    The cache is keyed by content: the layers, how they are connected, their precision and weights,
    and the pixels, with everything that was done to them. Where it cannot be written, or a layer
    runs code of the student's own, which may change under the same name, the outputs are computed
    each time.

    Raises:
        KitError: `$XRAY_CACHE_GB` is no size.
    """
    key = _key(frozen, pictures) if cache_limit() else None
    if key is None:
        return model_outputs(frozen, pictures, progress=progress)
    kept = cache.read(key)
    if kept is not None:
        return kept
    outputs = model_outputs(frozen, pictures, progress=progress)
    shapes = " and ".join("×".join(map(str, array.shape)) for array in outputs)
    cache.keep(key, outputs, f"{frozen.name}, {shapes}")
    return cache.read(key) or outputs  # mapped: they need not stay in this process's memory


def head_output(head: keras.Model, features: Sequence[np.ndarray]) -> np.ndarray:
    """The output of what stands behind a frozen part, for the outputs of that part, (n, …)."""
    return model_outputs(head, features)[0]


def _key(frozen: keras.Model, pictures: np.ndarray) -> str | None:
    """Thirty-two hexadecimal digits for all the outputs depend on; None where code is unknown."""
    if not all(_is_keras(type(operation).__module__) for operation in frozen.operations):
        return None
    try:
        structure = json.dumps(_structure(frozen))
    except (TypeError, NotImplementedError):
        return None
    digest = hashlib.sha256(json.dumps([VERSION, _arithmetic(frozen), pictures.shape]).encode())
    digest.update(f"{pictures.dtype} {structure}".encode())
    for weight in frozen.weights:
        digest.update(np.asarray(weight).tobytes())
    digest.update(np.ascontiguousarray(pictures).data)
    return digest.hexdigest()[:32]


def _arithmetic(frozen: keras.Model) -> list:
    """What decides how numbers are rounded, beside the precision that each layer names."""
    return [
        keras.__version__,
        tf.__version__,
        [device.device_type for device in tf.config.list_physical_devices()],
        tf.config.experimental.tensor_float_32_execution_enabled(),
        os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
        bool(frozen.jit_compile),
    ]


def _is_keras(module: Any) -> bool:
    return str(module).split(".")[0] == "keras"


def _structure(model: keras.Model) -> list:
    """The layers, their settings and connections, without the names that Keras counts up.

    Raises:
        TypeError: something in it is not Keras's own, such as a function of the student's.
    """
    config = model.get_config()
    places = {layer["name"]: i for i, layer in enumerate(config["layers"])}

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            # A layer inside a wrapper, a function, a lambda: only its name is known.
            if not _is_keras(item.get("module", "keras")) or "ambda" in str(item.get("class_name")):
                raise TypeError("code of which only the name is known")
            if "keras_history" in item:  # a tensor: which layer's, which call's, which output
                name, *rest = item["keras_history"]
                return [places[name], *rest]
            # A "dtype" has a name too, and that one counts.
            return {k: v if k == "dtype" else plain(v) for k, v in item.items() if k != "name"}
        if isinstance(item, list | tuple):
            return [plain(i) for i in item]
        if isinstance(item, np.ndarray):
            return [str(item.dtype), item.tolist()]
        return item

    ends = keras.tree.map_structure(lambda end: places.get(end, end), config["output_layers"])
    return [plain(config["layers"]), ends]
