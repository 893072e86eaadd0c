"""Markdown as Typst markup, for the PDF.

Every piece of text becomes a string literal (`#"..."`), so that nothing in a report can be taken
for a command.
"""

import json
import re
from collections.abc import Callable, Iterable

from markdown_it.tree import SyntaxTreeNode

from xray_helpers.report.tokens import BREAK, lone_image, plain, read_markdown

# In tables a long word may break behind these, or every so many letters: no cell is ever cut.
_LONG = re.compile(r"\S{16,}")
_BREAKABLE = re.compile(r"([_/\-.×,])(?=\w)|(\w{10})(?=\w{3})")
_ZERO_SPACE = "\u200b"

TURNED = 9
"""A table with more columns than this is turned: its rows become columns, or it gets a page across
where it has more rows than `FEW_ROWS`."""
FEW_ROWS = 4


def to_typst(markdown: str, figure: Callable[[str], str], demote: int = 0) -> str:
    """A Markdown text as Typst markup; the functions it calls are in `page.typ`.

    Args:
        markdown: the text.
        figure: what a picture's address is called in the Typst document; "" where it is missing.
        demote: by how much headings are lowered, where the text is part of a larger one.
    """
    return "\n\n".join(_Writer(figure, demote).blocks(read_markdown(markdown).children))


def literal(text: str) -> str:
    """Text as Typst shows it letter by letter."""
    return f"#{quoted(text)};" if text else ""


def quoted(text: str) -> str:
    """A Typst string."""
    # JSON's escapes are Typst's but for \uXXXX, which ensure_ascii=False leaves to control letters.
    clean = "".join(c for c in text if c in "\n\t" or ord(c) >= 32)
    return json.dumps(clean, ensure_ascii=False)


class _Writer:
    def __init__(self, figure: Callable[[str], str], demote: int) -> None:
        self.figure = figure
        self.demote = demote

    def blocks(self, nodes: Iterable[SyntaxTreeNode]) -> list[str]:
        return [self.block(node) for node in nodes]

    def block(self, node: SyntaxTreeNode) -> str:
        inside = getattr(self, f"_{node.type}", None)
        return inside(node) if inside else literal(plain(node))

    def _heading(self, node: SyntaxTreeNode) -> str:
        level = min(int(node.tag[1]) + self.demote, 6)
        return f"#heading(level: {level})[{self.inline(node)}]"

    def _paragraph(self, node: SyntaxTreeNode) -> str:
        image = lone_image(node)
        if image is None:
            return f"#par[{self.inline(node)}]"
        return self._picture(image)

    def _picture(self, node: SyntaxTreeNode) -> str:
        caption, file = plain(node), self.figure(str(node.attrs.get("src", "")))
        if not file:
            missing = f"The figure {node.attrs.get('src')} is missing. {caption}"
            return f"#missing[{literal(missing)}]"
        return f"#shown({quoted(file)})[{literal(caption)}]"

    def _bullet_list(self, node: SyntaxTreeNode) -> str:
        return f"#list({', '.join(self._items(node))})"

    def _ordered_list(self, node: SyntaxTreeNode) -> str:
        start = node.attrs.get("start", 1)
        return f"#enum(start: {start}, {', '.join(self._items(node))})"

    def _items(self, node: SyntaxTreeNode) -> list[str]:
        return ["[" + "\n".join(self.blocks(item.children)) + "]" for item in node.children]

    def _blockquote(self, node: SyntaxTreeNode) -> str:
        return "#boxed[" + "\n".join(self.blocks(node.children)) + "]"

    def _fence(self, node: SyntaxTreeNode) -> str:
        return f"#code({quoted(node.content.rstrip())})"

    _code_block = _fence

    def _hr(self, node: SyntaxTreeNode) -> str:
        return "#line(length: 100%, stroke: 0.4pt)"

    def _html_block(self, node: SyntaxTreeNode) -> str:
        return f"#par[{self._raw_html(node.content.strip())}]"

    def _table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        header, *body = [[self._cell(cell) for cell in row.children] for row in rows]
        aligned = ", ".join(
            "right" if "right" in str(cell.attrs.get("style", "")) else "left"
            for cell in rows[0].children
        )
        wide = len(header) > TURNED
        if wide and len(body) <= FEW_ROWS:
            header, *body = zip(header, *body, strict=True)
            aligned, wide = ", ".join(["left"] * len(header)), False
        cells = ", ".join(cell for row in body for cell in row)
        call = (
            f"#facts({len(header)}, ({aligned},), ({', '.join(header)},), "
            f"({cells}{',' if cells else ''}))"
        )
        return f"#page(flipped: true)[{call}]" if wide else call

    def _cell(self, node: SyntaxTreeNode) -> str:
        return f"[{_Breaking(self.figure, 0).inline(node)}]"

    # --- within a line ---------------------------------------------------------------------------

    def inline(self, node: SyntaxTreeNode) -> str:
        if node.type == "inline" or node.type in ("heading", "paragraph", "th", "td"):
            return "".join(self.inline(child) for child in node.children)
        return getattr(self, f"_in_{node.type}", self._in_text)(node)

    def _children(self, node: SyntaxTreeNode) -> str:
        return "".join(self.inline(child) for child in node.children)

    def _in_text(self, node: SyntaxTreeNode) -> str:
        return literal(self.letters(plain(node)))

    def _in_softbreak(self, node: SyntaxTreeNode) -> str:
        return literal(" ")

    def _in_hardbreak(self, node: SyntaxTreeNode) -> str:
        return "#linebreak();"

    def _in_strong(self, node: SyntaxTreeNode) -> str:
        return f"#strong[{self._children(node)}];"

    def _in_em(self, node: SyntaxTreeNode) -> str:
        return f"#emph[{self._children(node)}];"

    def _in_s(self, node: SyntaxTreeNode) -> str:
        return f"#strike[{self._children(node)}];"

    def _in_code_inline(self, node: SyntaxTreeNode) -> str:
        return f"#raw({quoted(_breaks(node.content))});"

    def _in_link(self, node: SyntaxTreeNode) -> str:
        address = str(node.attrs.get("href", ""))
        if not address.startswith(("http://", "https://", "mailto:")):
            return self._children(node)
        return f"#link({quoted(address)})[{self._children(node)}];"

    def _in_image(self, node: SyntaxTreeNode) -> str:
        file = self.figure(str(node.attrs.get("src", "")))
        return f"#box(image({quoted(file)}, width: 40%));" if file else literal(plain(node))

    def _in_html_inline(self, node: SyntaxTreeNode) -> str:
        return self._raw_html(node.content)

    def _raw_html(self, content: str) -> str:
        return "#linebreak();".join(literal(part) for part in BREAK.split(content))

    def letters(self, text: str) -> str:
        return text


class _Breaking(_Writer):
    """Within a table, where a long word may break."""

    def letters(self, text: str) -> str:
        return _breaks(text)


def _breaks(text: str) -> str:
    """The text with places where its long words may break."""
    return _LONG.sub(
        lambda word: _BREAKABLE.sub(lambda found: found[0] + _ZERO_SPACE, word[0]), text
    )
