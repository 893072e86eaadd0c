"""One progress bar for notebooks and terminals."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm


class _NotebookBar(tqdm):
    """A tqdm bar that replaces its own text in the cell, so that the page keeps one line of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        from IPython.display import display

        self._shown = display({"text/plain": ""}, raw=True, display_id=True)
        super().__init__(*args, **kwargs, file=io.StringIO(), ascii=" ━")

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Show the bar's text in place of what it showed before."""
        self._shown.update({"text/plain": str(self) if msg is None else msg}, raw=True)


_shown = True


@contextmanager
def no_bars() -> Iterator[None]:
    """Show no bar in the block: for many small pieces of work under one bar of their own."""
    global _shown
    before, _shown = _shown, False
    try:
        yield
    finally:
        _shown = before


def progress_bar(text: str | None, total: int, unit: str = "picture") -> tqdm:
    """A bar to `update(n)` and `close()`, also as a context manager.

    In a notebook it is text that updates in place; in a terminal it is a tqdm bar on standard
    error. Without a text there is no bar.
    """
    if text is None or not _shown:
        return tqdm(total=total, disable=True)
    try:
        from IPython import get_ipython

        in_kernel = getattr(get_ipython(), "kernel", None) is not None
    except ImportError:
        in_kernel = False
    kind = _NotebookBar if in_kernel else tqdm
    line = f"{text}: |{{bar:20}}| {{n_fmt}} of {{total_fmt}} {unit}s, {{elapsed}}{{postfix}}"
    return kind(total=total, bar_format=line, mininterval=0.3)
