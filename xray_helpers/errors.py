"""The one exception that a user of the kit can cause."""


class KitError(ValueError):
    """A problem the user can solve: one sentence that says what, where and what to do.

    In a notebook it shows as that sentence, without a traceback; on the command line likewise.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in place of the traceback."""
        return [f"{type(self).__name__}: {self}"]
