"""What a notebook shows: notes, tables and figures, as HTML and as plain text."""

import html
import io
from pathlib import Path

import pandas as pd
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure

from xray_helpers import plotting


def warning_box(text: str) -> None:
    """Show a sentence in a box, plain where there is no notebook."""
    style = "border:2px solid #D55E00;border-radius:4px;padding:.5em .8em;margin:.3em 0"
    page = f'<div style="{style}"><b>Note.</b> {html.escape(text)}</div>'
    display({"text/plain": f"Note. {text}", "text/html": page}, raw=True)


def show_table(table: pd.DataFrame, digits: int = 3, folded: str = "") -> None:
    """Show a table, without row numbers, floats rounded to `digits`, whole numbers grouped.

    With `folded`, only this title is seen until it is clicked.
    """
    index = not isinstance(table.index, pd.RangeIndex)
    as_text = {
        name: "{:,}".format
        if pd.api.types.is_integer_dtype(column)
        else lambda x: "–" if pd.isna(x) else f"{x:.{digits}f}"
        for name, column in table.items()
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    }
    options = {"index": index, "formatters": as_text, "na_rep": "–"}
    page = table.to_html(border=0, **options)
    if folded:
        page = f"<details><summary>{html.escape(folded)}</summary>{page}</details>"
    display({"text/plain": table.to_string(**options), "text/html": page}, raw=True)


def show_figure(figure: Figure, mark: str, run: Path | None, name: str, alt: str = "") -> None:
    """Mark a figure, save it as `<run>/figures/<name>.png` unless `run` is None, and show it."""
    plotting.stamp(figure, mark)
    if run is None:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=150)
        png = buffer.getvalue()
    else:
        png = plotting.save(figure, run / "figures" / f"{name}.png").read_bytes()
    # 100 pixels an inch, so that letters have one size in all figures.
    width = round(100 * figure.get_size_inches()[0])
    display(Image(data=png, format="png", width=width, alt=alt or name))


def show_text(markdown: str) -> None:
    """Show Markdown as a page does."""
    display(Markdown(markdown))
