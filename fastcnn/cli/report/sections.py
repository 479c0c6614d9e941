"""Sections of a report, for whatever was learnt."""

from __future__ import annotations

import base64
from pathlib import Path

from fastcnn.cli.report.facts import TrainingFacts
from fastcnn.utils import atomic_file, svg_chart
from fastcnn.utils.markup import table, text

STYLE = """
:root{color-scheme:light dark;--text:#1c2430;--page:#f7f8fa;--card:#fff;--line:#d5dae1;
--soft:#5c6675;--c0:#1f6feb;--c1:#d1570b}@media(prefers-color-scheme:dark){:root{--text:#e4e8ee;
--page:#12161c;--card:#1b212a;--line:#39424f;--soft:#9aa5b4;--c0:#6cb0ff;--c1:#ffa657}}
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--text);
background:var(--page)}main{max-width:1060px;margin:auto;padding:16px}h1{font-size:1.5rem;
margin:.4em 0}h2{font-size:1.1rem;margin:0 0 .5em}section{background:var(--card);
border:1px solid var(--line);border-radius:8px;padding:16px;margin:16px 0;overflow-x:auto}
.two{display:grid;gap:0 16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
.big{font-size:2rem;font-weight:650}table{border-collapse:collapse;font-size:.9rem}
td,th{padding:4px 10px;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}th{color:var(--soft);font-weight:500}
th.cell{text-align:center}td.cell small{color:inherit}
td.cell{border:1px solid var(--line);text-align:center;min-width:4.5em}p{margin:.3em 0}
.soft,small{color:var(--soft)}svg{width:100%;max-width:520px;height:auto}
svg text{fill:var(--soft);font-size:11px}.grid{fill:none;stroke:var(--line)}.curve{fill:none;
stroke-width:2}.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.dot.c0,svg text.key.c0{fill:var(--c0);
stroke:none}.dot.c1,svg text.key.c1{fill:var(--c1);stroke:none}pre{margin:0;white-space:pre-wrap;
overflow-wrap:anywhere}img{width:96px;height:96px;
object-fit:contain;image-rendering:auto;border-radius:6px;vertical-align:middle}
.path{overflow-wrap:anywhere;text-align:left}ul{margin:.6em 0 0;padding-left:1.2em}
.choices td:nth-child(3){text-align:left;color:var(--soft)}.choices th:nth-child(3){text-align:left}
"""


def write(path: Path, page: str) -> None:
    """Write a page.

    Args:
        path: The file.
        page: HTML.
    """
    with atomic_file.replacing(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def document(title: str, parts: list[str]) -> str:
    """Return a page of sections as HTML.

    Args:
        title: Of the page.
        parts: Sections, HTML.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{text(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def chosen_by(facts: TrainingFacts) -> str:
    """What makes the figure better than it would be on other images."""
    return ", which these images chose" if facts.measured_on == "validation" else ""


def section(title: str, body: str) -> str:
    """A section, or nothing where it is empty."""
    return f"<section><h2>{text(title)}</h2>{body}</section>" if body else ""


def notes(facts: TrainingFacts) -> str:
    """What the figure must be read with."""
    lines = "".join(f"<li>{text(note)}</li>" for note in dict.fromkeys(facts.notes))
    return f'<ul class="soft path">{lines}</ul>' if lines else ""


def sizes(facts: TrainingFacts) -> str:
    """What the pictures measure in their files, and as they were learnt from."""
    sentences = []
    if facts.sizes:
        heights, widths = (sorted(sides) for sides in zip(*facts.sizes, strict=True))
        middle = len(heights) // 2
        sentences.append(
            f"In their files pictures are {heights[middle]} pixels high and {widths[middle]} wide "
            f"in the median of {len(heights)} looked at, from {heights[0]}x{widths[0]} to "
            f"{heights[-1]}x{widths[-1]}."
        )
    if facts.shape:
        sentences.append(f"They are learnt from as {'x'.join(map(str, facts.shape))}.")
    return f'<p class="soft">{text(" ".join(sentences))}</p>' if sentences else ""


def choices(facts: TrainingFacts) -> str:
    """The settings, with why some were chosen."""
    rows = [
        [
            text(name.replace("_", "-")),
            f'<span class="path">{text(_choice(name, value))}</span>',
            text(facts.reasons.get(name, "")),
        ]
        for name, value in facts.settings.items()
        if value not in (None, [], {})
    ]
    head, columns = ["setting", "value", "why"], 3 if facts.reasons else 2
    body = table(head[:columns], [row[:columns] for row in rows])
    return section("Choices", f'<div class="choices">{body}</div>')


def _choice(name: str, value: object) -> object:
    """A setting as it stands on the command line."""
    if name == "image_size" and isinstance(value, list):
        return "x".join(map(str, value))
    if name == "freeze" and value == "":
        return "all below the last layer"
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def curves(facts: TrainingFacts) -> str:
    """The values of each epoch, a chart a name."""
    charts = []
    for name in facts.history:
        if name.startswith("val_") or name == "epoch":
            continue
        curves = {"training": list(enumerate(facts.history[name], 1))}
        if f"val_{name}" in facts.history:
            curves["validation"] = list(enumerate(facts.history[f"val_{name}"], 1))
        charts.append(section(name.replace("_", " "), svg_chart.lines(name, "epoch", curves)))
    return "".join(charts)


def picture(facts: TrainingFacts, number: int) -> str:
    """The picture of a mistake, by its place among the worst; nothing where there are none."""
    if not facts.pictures:
        return ""
    encoded = base64.b64encode(facts.pictures[number]).decode()
    return f'<img alt="" src="data:image/png;base64,{encoded}">'


def costs(facts: TrainingFacts) -> str:
    """What the training took."""
    return section("What it costs", table(["", ""], [[*map(text, i)] for i in facts.costs.items()]))


def usage() -> str:
    """The commands to go on with."""
    return section(
        "Use it again, from this folder",
        "<pre>fastcnn predict --model model.h5 new/*.jpg\n"
        "fastcnn evaluate --model model.h5 --data FOLDER\n"
        "fastcnn train --config settings.toml\n\n"
        "import fastcnn\nmodel = fastcnn.load('model.h5')\n"
        "model.class_names, model.predict(images)</pre>",
    )
