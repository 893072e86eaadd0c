"""What a model says about pictures, batch by batch; of a frozen part, computed once."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from xray_helpers import cache, file_rows
from xray_helpers.cache_room import cache_limit
from xray_helpers.file_rows import FileRows, left_in_file
from xray_helpers.progress import progress_bar

# The maps of so many pictures are in memory at once: of 16, VGG16 needs 0.7 GB, of 32 twice that
# and no less time a picture.
BATCH = 16
VERSION = 3


def model_outputs(
    model: keras.Model,
    inputs: np.ndarray | FileRows | Sequence[np.ndarray | FileRows],
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
    inputs = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    inputs = [left_in_file(array) for array in inputs]
    arrays: list[np.ndarray] = []
    start = 0
    for outputs in _batches_of_outputs(model, inputs, progress):
        if not arrays:
            arrays = [np.empty((len(inputs[0]), *o.shape[1:]), o.dtype) for o in outputs]
        for array, output in zip(arrays, outputs, strict=True):
            array[start : start + len(output)] = output
        start += len(outputs[0])
    return arrays


def _batches_of_outputs(
    model: keras.Model, inputs: Sequence[np.ndarray | FileRows], progress: str | None
) -> Iterator[list[np.ndarray]]:
    """What `model_outputs` puts together, a batch at a time."""
    total = len(inputs[0])
    size = min(BATCH, total)
    with progress_bar(progress, total) as bar:
        for start in range(0, total, size):
            kept = min(size, total - start)
            batch = [_rows(array, start, size) for array in inputs]
            outputs = model.predict_on_batch(batch if len(batch) > 1 else batch[0])
            outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
            yield [output[:kept].astype(_plain_type(output), copy=False) for output in outputs]
            bar.update(kept)


def _rows(array: np.ndarray | FileRows, start: int, size: int) -> np.ndarray:
    """Rows from `start`, float32; the last one again where there are less than `size`.

    Every batch has the same shape, so that TensorFlow compiles the model only once.
    """
    rows = np.array(array[start : start + size], np.float32)
    missing = size - len(rows)
    return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def _plain_type(output: np.ndarray) -> np.dtype:
    """The type of an output; float32, which holds the same numbers, for one that is not numpy's."""
    return output.dtype if output.dtype.isbuiltin == 1 else np.dtype(np.float32)


def frozen_outputs(
    frozen: keras.Model,
    pictures: np.ndarray | FileRows,
    *,
    progress: str | None = "Frozen features",
) -> list[np.ndarray]:
    """`model_outputs` of a frozen part, from the cache on disk where it was computed before.

    The cache is keyed by content: the layers, how they are connected, their precision and weights,
    and the pixels, with everything that was done to them. Where it cannot be written, or a layer
    runs code of the student's own, which may change under the same name, the outputs are computed
    each time, in memory. More of them than the memory should hold go to the cache batch by batch.

    Raises:
        KitError: `$XRAY_CACHE_GB` is no size.
    """
    key = _key(frozen, pictures) if cache_limit() else None
    if key is None:
        return model_outputs(frozen, pictures, progress=progress)
    kept = cache.read(key)
    if kept is not None:
        return kept
    if _size(frozen, len(pictures)) > file_rows.MOST_IN_MEMORY:
        _keep_batch_by_batch(key, frozen, pictures, progress)
        if (kept := cache.read(key)) is not None:
            return kept
    outputs = model_outputs(frozen, pictures, progress=progress)
    cache.keep(key, outputs, _about(frozen, [array.shape for array in outputs]))
    return cache.read(key) or outputs  # mapped: they need not stay in this process's memory


def _keep_batch_by_batch(
    key: str, frozen: keras.Model, pictures: np.ndarray | FileRows, progress: str | None
) -> None:
    """Write the outputs to the cache as they are computed; say in a sentence where that fails."""
    if not cache.fits(_size(frozen, len(pictures))):
        return
    about = _about(frozen, [(len(pictures), *o.shape[1:]) for o in frozen.outputs])
    try:
        with cache.new_entry("features", key, len(pictures), about) as entry:
            for outputs in _batches_of_outputs(frozen, [pictures], progress):
                entry.add(*outputs)
    except OSError as error:
        cache.say_not_kept(error)


def _size(frozen: keras.Model, pictures: int) -> int:
    """Bytes of the outputs for so many pictures; 0 where the model does not know their shapes."""
    shapes = [output.shape[1:] for output in frozen.outputs]
    if any(side is None for shape in shapes for side in shape):
        return 0
    # 16 bits are counted as 32, which is what NumPy has for one of the two kinds.
    return pictures * sum(4 * math.prod(shape) for shape in shapes)


def _about(frozen: keras.Model, shapes: Sequence[tuple[int, ...]]) -> str:
    """What the outputs are, for `xray cache`."""
    return f"{frozen.name}, {' and '.join('×'.join(map(str, shape)) for shape in shapes)}"


def head_output(head: keras.Model, features: Sequence[np.ndarray]) -> np.ndarray:
    """The output of what stands behind a frozen part, for the outputs of that part, (n, …)."""
    return model_outputs(head, features)[0]


def _key(frozen: keras.Model, pictures: np.ndarray | FileRows) -> str | None:
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
    if isinstance(pictures, FileRows):
        digest.update(pictures.identity.encode())  # the file's key stands for its pixels
    else:
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
