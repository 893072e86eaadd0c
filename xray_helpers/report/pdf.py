"""A Markdown text as PDF, set by Typst (its wheel brings fonts; nothing else is needed)."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from PIL import Image

from xray_helpers.errors import KitError
from xray_helpers.report.typst_text import quoted, to_typst

_PAGE = Path(__file__).with_name("page.typ")
_KINDS = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg")


@dataclass(frozen=True)
class Part:
    """A part of a PDF.

    Attributes:
        markdown: its text.
        folder: what addresses of pictures in it count from.
        demote: by how much its headings are lowered.
        new_page: whether it begins on a new page.
    """

    markdown: str
    folder: Path
    demote: int = 0
    new_page: bool = False


def write_pdf(parts: list[Part], name: str, warning: str = "") -> bytes:
    """The parts, one behind the other, as one PDF with page numbers.

    Args:
        parts: what is in it.
        name: at the foot of every page.
        warning: at the head of every page; "" for none.

    Raises:
        KitError: a picture cannot be read.
    """
    return _typeset(parts, name, warning)


def page_pictures(parts: list[Part], name: str, warning: str = "", dpi: int = 80) -> list[bytes]:
    """The pages of `write_pdf`, each as a PNG of so many dots per inch."""
    pages = _typeset(parts, name, warning, format="png", ppi=float(dpi))
    return [pages] if isinstance(pages, bytes) else pages


def _typeset(parts: list[Part], name: str, warning: str, **how: str | float) -> Any:
    """What Typst makes of the parts; `how` are its options."""
    import typst

    files: dict[str, Path] = {}
    text = [f"#let name = {quoted(name)}\n#let warning = {quoted(warning)}"]
    text.append(_PAGE.read_text(encoding="utf-8"))
    for part in parts:
        if part.new_page:
            text.append("#pagebreak(weak: true)")

        def figure(address: str, folder: Path = part.folder) -> str:
            return _file(address, folder, files)

        text.append(to_typst(part.markdown, figure, part.demote))
    with tempfile.TemporaryDirectory() as folder:
        for called, path in files.items():
            shutil.copyfile(path, Path(folder) / called)
        main = Path(folder) / "main.typ"
        main.write_text("\n\n".join(text), encoding="utf-8")
        try:
            return typst.compile(main, **how)
        except RuntimeError as error:
            raise KitError(f"The PDF cannot be made: {error}") from error


def picture_file(address: str, folder: Path) -> Path | None:
    """The file that a picture's address names, seen from `folder`; None where there is none."""
    if "://" in address or not address:
        return None
    path = folder / unquote(address)
    return path if path.is_file() and path.suffix.lower() in _KINDS else None


def _file(address: str, folder: Path, files: dict[str, Path]) -> str:
    """What a picture is called in the Typst document; "" where it is missing."""
    path = picture_file(address, folder)
    if path is None:
        return ""
    known = {p: called for called, p in files.items()}
    if path not in known:
        known[path] = f"picture{len(files)}.{_kind(path)}"
        files[known[path]] = path
    return known[path]


def _kind(path: Path) -> str:
    """What a picture is by its content: a JPEG that is called .png is still a JPEG."""
    if path.suffix.lower() == ".svg":
        return "svg"
    try:
        with Image.open(path) as picture:
            picture.verify()
            return str(picture.format).lower()
    except (OSError, SyntaxError, ValueError) as error:
        raise KitError(f"{path} cannot be read as a picture; replace it.") from error
