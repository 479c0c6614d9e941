"""One page that shows what a network learned: all pictures are inside the file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #6b7785; --paper: #fff; --line: #dfe4ea }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --paper: #16191d; --line: #343b43 }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.5rem 0 .7rem }
p, figcaption, pre { color: var(--soft) }
table { border-collapse: collapse } th { text-align: left; font-weight: 600 }
th, td { padding: .2rem 1rem .2rem 0; border-bottom: 1px solid var(--line) }
th:not(:first-child) { text-align: right }
td:not(:first-child) { text-align: right; font-variant-numeric: tabular-nums }
.plot { max-width: 100%; background: #fff; border: 1px solid var(--line); border-radius: 6px }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: 1rem }
figure { margin: 0 } figure img { width: 100%; border-radius: 4px }
figcaption { font-size: .8rem; line-height: 1.35; overflow-wrap: anywhere }
figcaption b { color: var(--ink) } pre { overflow-x: auto; font-size: .85rem }
"""


@dataclass(frozen=True)
class Mistake:
    """An image uint8 [H, W, 3] taken for another class, its file, and how sure the network was."""

    image: NDArray[np.uint8]
    file: str
    true: str
    predicted: str
    probability: float


def write(
    path: Path,
    title: str,
    lines: list[str],
    plots: dict[str, Path],
    matrix: NDArray[np.int64],
    class_names: list[str],
    mistakes: list[Mistake],
    folder: str,
) -> None:
    """Writes the page: title and lines of text, PNG files by their headings, what became of each
    class (matrix: rows true, columns predicted), the mistakes, and what was found in the folder."""
    intro = "".join(f"<p>{escape(line)}</p>" for line in lines)
    drawn = "".join(
        f'<h2>{escape(name)}</h2><img class="plot" alt="{escape(name)}" src="{_png(file)}">'
        for name, file in plots.items()
    )
    shown = "".join(map(_figure, mistakes)) or "<p>None.</p>"
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style><h1>{escape(title)}</h1>{intro}"
        f"{drawn}<h2>Classes</h2>{_table(matrix, class_names)}"
        f'<h2>Worst mistakes</h2><div class="grid">{shown}</div>'
        f"<h2>The folder</h2><pre>{escape(folder)}</pre></html>\n",
        encoding="utf-8",
    )


def _table(matrix: NDArray[np.int64], names: list[str]) -> str:
    right, of_class, named = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    rows = "".join(
        f"<tr><td>{escape(name)}<td>{of_class[k]:,}<td>{_share(right[k], of_class[k])}"
        f"<td>{_share(right[k], named[k])}"
        for k, name in enumerate(names)
    )
    return f"<table><tr><th>class<th>images<th>found<th>right where named{rows}</table>"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def _figure(mistake: Mistake) -> str:
    return (
        f'<figure><img alt="" src="{_png(mistake.image)}"><figcaption><b>{escape(mistake.true)}</b>'
        f", taken for <b>{escape(mistake.predicted)}</b> ({100 * mistake.probability:.0f} %)<br>"
        f"{escape(mistake.file)}</figcaption></figure>"
    )


def _png(picture: Path | NDArray[np.uint8]) -> str:
    """A PNG file, or an image as one, as an address that holds it."""
    if isinstance(picture, Path):
        content = picture.read_bytes()
    else:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "PNG", optimize=True)
        content = stream.getvalue()
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
