"""Whether another process of this machine still lives."""

import os
from pathlib import Path
from typing import Any


def is_alive(pid: Any) -> bool:
    """Whether a process with this number runs on this machine; False for what is no number."""
    if not isinstance(pid, int):
        return False
    if os.name == "nt":  # no signal 0 there; psutil comes with JupyterLab
        import psutil

        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A killed child that nobody has waited for still has its number.
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return True
