"""Markdown read once, for both pages: as a tree, with comments gone and figures by themselves."""

import re

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


def read_markdown(text: str) -> SyntaxTreeNode:
    """The tree of a Markdown text (CommonMark, tables, strikethrough), without HTML comments."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    # An empty line stays in a comment's place: what stood before and behind it are two blocks.
    return SyntaxTreeNode(parser.parse(_COMMENT.sub("", text)))


def lone_image(node: SyntaxTreeNode) -> SyntaxTreeNode | None:
    """The picture that a paragraph consists of: such a one is a figure with a caption."""
    if node.type != "paragraph":
        return None
    content = [child for child in node.children[0].children if child.type != "softbreak"]
    return content[0] if len(content) == 1 and content[0].type == "image" else None


def plain(node: SyntaxTreeNode) -> str:
    """The letters of a node, without marks."""
    if node.type in ("softbreak", "hardbreak"):
        return " "
    return node.content or "".join(plain(child) for child in node.children)
