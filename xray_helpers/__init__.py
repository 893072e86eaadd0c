"""Helpers for the chest X-ray assignment: data, models, training, evaluation, plotting.

Importing this package is quick and does not import TensorFlow. It only sets the environment
variables that TensorFlow reads when it is imported later; a variable you set yourself wins.
"""

import os as _os

__version__ = "0.1.0"

_os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Start-up messages of TensorFlow's C++ code, of which nothing concerns a student.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Take GPU memory as needed, so that two notebooks can share one GPU.
_os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# On a Grid Engine node only the slots of this job are ours, not all of the node's cores. Elsewhere
# TensorFlow takes the cores that the process may run on.
if _os.environ.get("NSLOTS", "").isdigit():
    _os.environ.setdefault("TF_NUM_INTRAOP_THREADS", _os.environ["NSLOTS"])
    _os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")
    _os.environ.setdefault("OMP_NUM_THREADS", _os.environ["NSLOTS"])


def begin(notebook: str, namespace: dict) -> "Run":  # noqa: F821 - imported where it is needed
    """Check a notebook's settings and open its run: see `xray_helpers.session.begin`."""
    from xray_helpers.session import begin as open_run

    return open_run(notebook, namespace)


def show_table(table: "pandas.DataFrame", digits: int = 3, folded: str = "") -> None:  # noqa: F821
    """Show a table in a notebook: see `xray_helpers.page.show_table`."""
    from xray_helpers.page import show_table as show

    show(table, digits, folded)
