"""A table that a notebook showed as HTML, as a Markdown table."""

from html.parser import HTMLParser

from xray_helpers.report.blocks.marks import table


def html_table(page: str) -> str:
    """The one table of an HTML output as Markdown; "" where there is none or it is no plain one."""
    reader = _Rows()
    reader.feed(page)
    rows = [row for row in reader.rows if row]
    if len(rows) < 2 or len({len(row) for row in rows}) != 1:
        return ""
    return table(_escaped(rows[0]), rows[1:])


def _escaped(row: list[str]) -> list[str]:
    return [text.replace("|", "\\|") for text in row]


class _Rows(HTMLParser):
    """Collects the text of each cell, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.in_cell = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
            self.in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data: str) -> None:
        if self.in_cell:
            # Markdown's own signs are letters here: names such as `a_b` or `*` stay as they are.
            safe = "".join(f"\\{c}" if c in "\\`*_[]<>~" else c for c in data)
            self.rows[-1][-1] += " ".join(safe.split())
