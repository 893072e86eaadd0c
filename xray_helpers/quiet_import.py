"""Import TensorFlow without the start-up lines that its C++ code writes to standard error.

They come before any Python setting can stop them and say nothing a student can use; a real
problem raises an exception, which is not hidden.
"""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def _standard_error_closed() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all: nothing to keep quiet
        yield
        return
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a file
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with _standard_error_closed():
    import keras  # noqa: F401
    import tensorflow

# TensorFlow warns when a notebook builds several models one after the other; that is what these
# notebooks are for.
tensorflow.get_logger().setLevel("ERROR")
