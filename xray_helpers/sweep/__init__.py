"""Sweeps: one notebook, or several, run with many settings, each in a process of its own."""

from xray_helpers.lazy import lazy

# A task's process needs neither pandas nor the plan's checks: all is imported when it is used.
_HOME = {
    "Plan": "tasks",
    "SweepFolder": "folder",
    "Task": "tasks",
    "TaskState": "folder",
    "open_sweep": "folder",
    "plan_sweep": "plan",
    "save_sweep": "folder",
}
__getattr__ = lazy(__name__, _HOME, tuple(set(_HOME.values())))
__all__ = list(_HOME)
