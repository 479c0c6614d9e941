"""The report of a training: one HTML file that needs no other and no network."""

from __future__ import annotations

import base64
from pathlib import Path

from fastcnn.cli.report.facts import Facts
from fastcnn.utils import atomic_file, svg_chart
from fastcnn.utils.markup import table as _table
from fastcnn.utils.markup import text as _text

MOST_CELLS = 20
"""Classes above which only pairs that are mixed up are listed, in place of the whole matrix."""

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


def write(path: Path, facts: Facts) -> None:
    """Write the report.

    Args:
        path: The file.
        facts: What it tells.
    """
    with atomic_file.replacing(path) as file:
        file.write(page(facts).encode("utf-8", "backslashreplace"))


def page(facts: Facts) -> str:
    """Return the report as HTML."""
    title = f"{facts.settings['model']} on {facts.settings['data']}"
    sections = [
        f'<section><p class="big">{100 * facts.accuracy:.2f} %</p>'
        f"<p>of {len(facts.labels):,} {facts.measured_on} images are named rightly, by the weights "
        f"of epoch {facts.best_epoch}{_chosen_by(facts)}.</p>{_notes(facts)}</section>",
        f'<div class="two">{_data(facts)}{_choices(facts)}</div>',
        f'<div class="two">{_curves(facts)}</div>',
        _confusion(facts),
        f'<div class="two">{_classes(facts)}{_calibration(facts)}</div>',
        _mistakes(facts),
        f'<div class="two">{_costs(facts)}{_usage()}</div>',
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>"
        f"<body><main><h1>{_text(title)}</h1>{''.join(sections)}</main></body></html>\n"
    )


def _chosen_by(facts: Facts) -> str:
    """What makes the figure better than it would be on other images."""
    return ", which these images chose" if facts.measured_on == "validation" else ""


def _section(title: str, body: str) -> str:
    return f"<section><h2>{_text(title)}</h2>{body}</section>" if body else ""


def _notes(facts: Facts) -> str:
    """What the figure must be read with."""
    lines = "".join(f"<li>{_text(note)}</li>" for note in dict.fromkeys(facts.notes))
    return f'<ul class="soft path">{lines}</ul>' if lines else ""


def _data(facts: Facts) -> str:
    rows = [
        [_text(name), *(_shared(counts, label) for counts in facts.counts.values())]
        for label, name in enumerate(facts.names)
    ]
    rows.append(["all", *(f"{sum(counts):,}" for counts in facts.counts.values())])
    return _section("Images", _table(["class", *facts.counts], rows) + _sizes(facts))


def _shared(counts: list[int], label: int) -> str:
    share = 100 * counts[label] / max(sum(counts), 1)
    return f"{counts[label]:,} <small>{share:.0f} %</small>"


def _sizes(facts: Facts) -> str:
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
    return f'<p class="soft">{_text(" ".join(sentences))}</p>' if sentences else ""


def _choices(facts: Facts) -> str:
    rows = [
        [
            _text(name.replace("_", "-")),
            f'<span class="path">{_text(_choice(name, value))}</span>',
            _text(facts.reasons.get(name, "")),
        ]
        for name, value in facts.settings.items()
        if value not in (None, [], {})
    ]
    head, columns = ["setting", "value", "why"], 3 if facts.reasons else 2
    body = _table(head[:columns], [row[:columns] for row in rows])
    return _section("Choices", f'<div class="choices">{body}</div>')


def _choice(name: str, value: object) -> object:
    """A setting as it stands on the command line."""
    if name == "image_size" and isinstance(value, list):
        return "x".join(map(str, value))
    if name == "freeze" and value == "":
        return "all below the last layer"
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _curves(facts: Facts) -> str:
    sections = []
    for name in facts.history:
        if name.startswith("val_") or name == "epoch":
            continue
        curves = {"training": list(enumerate(facts.history[name], 1))}
        if f"val_{name}" in facts.history:
            curves["validation"] = list(enumerate(facts.history[f"val_{name}"], 1))
        sections.append(_section(name.replace("_", " "), svg_chart.lines(name, "epoch", curves)))
    return "".join(sections)


def _confusion(facts: Facts) -> str:
    matrix = facts.confusion
    if len(facts.names) > MOST_CELLS:
        pairs = sorted(
            ((int(matrix[i, j]), i, j) for i, j in zip(*matrix.nonzero(), strict=True) if i != j),
            reverse=True,
        )
        rows = [
            [_text(facts.names[i]), _text(facts.names[j]), f"{count:,}"]
            for count, i, j in pairs[:MOST_CELLS]
        ]
        return _section("Most often mixed up", _table(["class", "taken for", "images"], rows))
    heads = "".join(f'<th class="cell">{_text(name)}</th>' for name in facts.names)
    lines = []
    for i, name in enumerate(facts.names):
        total = max(int(matrix[i].sum()), 1)
        cells = []
        for j in range(len(facts.names)):
            share = matrix[i, j] / total
            color = "--c0" if i == j else "--c1"
            shade = f"color-mix(in srgb,var({color}) {70 * share:.0f}%,transparent)"
            cells.append(
                f'<td class="cell" style="background:{shade}">{matrix[i, j]:,}'
                f"<br><small>{100 * share:.0f} %</small></td>"
            )
        lines.append(f"<tr><th>{_text(name)}</th>{''.join(cells)}</tr>")
    note = (
        '<p class="soft">Images, and their share of the row: a row is a true class, a column what '
        "it was taken for.</p>"
    )
    return _section("Confusion", f"{note}<table><tr><th></th>{heads}</tr>{''.join(lines)}</table>")


def _classes(facts: Facts) -> str:
    rows = [
        [_text(name), f"{count:,}", *(f"{100 * share:.1f} %" for share in shares)]
        for name, count, *shares in facts.of_classes()
    ]
    return _section("Classes", _table(["class", "images", "precision", "recall", "F1"], rows))


def _calibration(facts: Facts) -> str:
    points = [(sure, right) for sure, right, _ in facts.calibration()]
    words = (
        f"<p>Answers are off by {100 * facts.calibration_error():.1f} % in the mean: by so much "
        "the probability that is told and the share that is right differ.</p>"
    )
    curve = svg_chart.lines("share that is right", "probability told", {"answers": points}, True)
    return _section("Calibration", words + curve)


def _mistakes(facts: Facts) -> str:
    rows = []
    for number, (position, sure) in enumerate(facts.mistakes()):
        name = facts.files[position] if facts.files else f"image {position}"
        rows.append(
            [
                _picture(facts, number),
                f'<span class="path">{_text(name)}</span>',
                _text(facts.names[facts.labels[position]]),
                _text(facts.names[facts.predicted[position]]),
                f"{100 * sure:.1f} %",
            ]
        )
    if not rows:
        return _section("Worst mistakes", "<p>None.</p>")
    head = ["", "image", "is", "taken for", "probability"]
    return _section("Worst mistakes", _table(head, rows))


def _picture(facts: Facts, number: int) -> str:
    if not facts.pictures:
        return ""
    encoded = base64.b64encode(facts.pictures[number]).decode()
    return f'<img alt="" src="data:image/png;base64,{encoded}">'


def _costs(facts: Facts) -> str:
    return _section(
        "What it costs", _table(["", ""], [[*map(_text, i)] for i in facts.costs.items()])
    )


def _usage() -> str:
    return _section(
        "Use it again, from this folder",
        "<pre>fastcnn predict --model model.h5 new/*.jpg\n"
        "fastcnn evaluate --model model.h5 --data FOLDER\n"
        "fastcnn train --config settings.toml\n\n"
        "import fastcnn\nmodel = fastcnn.load('model.h5')\n"
        "model.class_names, model.predict(images)</pre>",
    )
