"""A Markdown text as one HTML file that needs nothing beside it: figures are inside."""

import base64
import html
import mimetypes
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.tree import SyntaxTreeNode

from xray_helpers.report.pdf import picture_file
from xray_helpers.report.tokens import BREAK, lone_image, plain, read_markdown

_OPTIONS = MarkdownIt("commonmark").options
_STYLE = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 Georgia, serif;
  color: #111; background: #fff; }
h1, h2, h3, h4 { line-height: 1.2; margin: 1.6em 0 .5em; break-after: avoid; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; border-top: 2px solid #111;
  border-bottom: 2px solid #111; margin: 1em 0; }
th, td { text-align: left; vertical-align: top; padding: .2em .6em; }
th { border-bottom: 1px solid #111; }
td.right, th.right { text-align: right; }
figure { margin: 1.4em 0; break-inside: avoid; }
figure img { max-width: 100%; max-height: 60rem; }
figcaption { font-size: .9rem; }
blockquote { margin: 1em 0; padding: .5em 1em; background: #eee; border-left: 3px solid #777; }
code, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .85em; }
pre { white-space: pre-wrap; }
.warning { position: sticky; top: 0; background: #fff; border: 2px solid #111; padding: .3em .6em;
  font-weight: bold; text-align: center; }
.missing { border: 2px dashed #111; padding: .5em; font-weight: bold; }
@media print {
  @page { margin: 2cm; }
  body { max-width: none; margin: 0; font-size: 10.5pt; }
  .wide { overflow: visible; }
  table { font-size: 8pt; }
  td, th { overflow-wrap: anywhere; }
  thead { display: table-header-group; }
  tr, figure { break-inside: avoid; }
  .warning { position: static; }
}
"""


def write_html(markdown: str, folder: Path, name: str, warning: str = "") -> str:
    """A Markdown text as a page.

    Args:
        markdown: the text.
        folder: what addresses of pictures in it count from.
        name: the page's title.
        warning: at its head, always in sight; "" for none.
    """
    body = "\n".join(_block(node, folder) for node in read_markdown(markdown).children)
    above = f'<p class="warning">{html.escape(warning)}</p>\n' if warning else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(name)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"{above}{body}\n</body>\n</html>\n"
    )


class _Renderer(RendererHTML):
    """As markdown-it writes it, but for raw HTML, of which nothing but <br> is let through."""

    def html_inline(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        return "<br>".join(html.escape(part) for part in BREAK.split(tokens[idx].content))

    html_block = html_inline

    def image(self, tokens: Any, idx: int, options: Any, env: Any) -> str:
        caption = self.renderInlineAsText(tokens[idx].children, options, env)
        return _image(str(tokens[idx].attrs["src"]), caption, env["folder"])


def _block(node: SyntaxTreeNode, folder: Path) -> str:
    image = lone_image(node)
    if image is not None:
        caption = plain(image)
        shown = _image(str(image.attrs.get("src", "")), caption, folder)
        return f"<figure>{shown}<figcaption>{html.escape(caption)}</figcaption></figure>"
    text = _Renderer().render(node.to_tokens(), _OPTIONS, {"folder": folder})
    if node.type == "table":
        text = text.replace('style="text-align:right"', 'class="right"')
        return f'<div class="wide">{text}</div>'
    return text


def _image(address: str, caption: str, folder: Path) -> str:
    path = picture_file(address, folder)
    if path is None:
        return f'<span class="missing">The figure {html.escape(address)} is missing.</span>'
    kind = mimetypes.guess_type(path.name)[0] or "image/png"
    content = base64.b64encode(path.read_bytes()).decode()
    return f'<img src="data:{kind};base64,{content}" alt="{html.escape(caption)}">'
