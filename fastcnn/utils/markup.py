"""Pieces of HTML that need no others: for reports, and for what a notebook shows."""

from __future__ import annotations

import html
from collections.abc import Sequence

from fastcnn.utils.naming import printable

STYLE = """
.fastcnn table{border-collapse:collapse;font-size:.9em}.fastcnn td,.fastcnn th{padding:2px 10px;
text-align:right}.fastcnn td:first-child,.fastcnn th:first-child{text-align:left}
.fastcnn .scroll{overflow:auto;max-height:640px}
.fastcnn .curve{fill:none;stroke-width:2}.fastcnn .grid{fill:none;stroke:currentColor;
stroke-opacity:.3}.fastcnn .charts{display:flex;flex-wrap:wrap;gap:8px}
.fastcnn .charts svg{width:340px;height:auto}.fastcnn .charts text{font-size:11px;fill:currentColor}
.fastcnn svg .c0{stroke:#2f81e0}.fastcnn svg .c1{stroke:#d9730d}.fastcnn svg text.c0,
.fastcnn svg .dot.c0{fill:#2f81e0;stroke:none}.fastcnn svg text.c1,.fastcnn svg .dot.c1{
fill:#d9730d;stroke:none}
"""
"""For what stands in another page, light or dark: in its colour of text, and in two that both show.
"""


def text(value: object) -> str:
    """Return a value as it stands in HTML."""
    return html.escape(printable(str(value)))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells of `rows` are HTML already."""
    heads = "".join(f"<th>{text(name)}</th>" for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{heads}</tr>{lines}</table>"


def printed(value: object) -> str:
    """Return what `print` shows of a value, for a notebook."""
    return f'<pre style="white-space:pre">{text(value)}</pre>'


def fragment(body: str) -> str:
    """Return HTML for a notebook, with the style that it needs."""
    return f'<div class="fastcnn"><style>{STYLE}</style>{body}</div>'
