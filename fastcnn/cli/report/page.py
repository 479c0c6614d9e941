"""The report of a training: one HTML file that needs no other and no network."""

from __future__ import annotations

from pathlib import Path

from fastcnn.cli.report import sections
from fastcnn.cli.report.facts import Facts
from fastcnn.utils import svg_chart
from fastcnn.utils.markup import table as _table
from fastcnn.utils.markup import text as _text

MOST_CELLS = 20
"""Classes above which only pairs that are mixed up are listed, in place of the whole matrix."""


def write(path: Path, facts: Facts) -> None:
    """Write the report.

    Args:
        path: The file.
        facts: What it tells.
    """
    sections.write(path, page(facts))


def page(facts: Facts) -> str:
    """Return the report as HTML."""
    title = f"{facts.settings['model']} on {facts.settings['data']}"
    parts = [
        f'<section><p class="big">{100 * facts.accuracy:.2f} %</p>'
        f"<p>of {len(facts.labels):,} {facts.measured_on} images are named rightly, by the weights "
        f"of epoch {facts.best_epoch}{sections.chosen_by(facts)}.</p>{sections.notes(facts)}"
        "</section>",
        f'<div class="two">{_data(facts)}{sections.choices(facts)}</div>',
        f'<div class="two">{sections.curves(facts)}</div>',
        _confusion(facts),
        f'<div class="two">{_classes(facts)}{_calibration(facts)}</div>',
        _mistakes(facts),
        f'<div class="two">{sections.costs(facts)}{sections.usage()}</div>',
    ]
    return sections.document(title, parts)


def _data(facts: Facts) -> str:
    rows = [
        [_text(name), *(_shared(counts, label) for counts in facts.counts.values())]
        for label, name in enumerate(facts.names)
    ]
    rows.append(["all", *(f"{sum(counts):,}" for counts in facts.counts.values())])
    return sections.section(
        "Images", _table(["class", *facts.counts], rows) + sections.sizes(facts)
    )


def _shared(counts: list[int], label: int) -> str:
    share = 100 * counts[label] / max(sum(counts), 1)
    return f"{counts[label]:,} <small>{share:.0f} %</small>"


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
        return sections.section(
            "Most often mixed up", _table(["class", "taken for", "images"], rows)
        )
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
    return sections.section(
        "Confusion", f"{note}<table><tr><th></th>{heads}</tr>{''.join(lines)}</table>"
    )


def _classes(facts: Facts) -> str:
    rows = [
        [_text(name), f"{count:,}", *(f"{100 * share:.1f} %" for share in shares)]
        for name, count, *shares in facts.of_classes()
    ]
    return sections.section(
        "Classes", _table(["class", "images", "precision", "recall", "F1"], rows)
    )


def _calibration(facts: Facts) -> str:
    points = [(sure, right) for sure, right, _ in facts.calibration()]
    words = (
        f"<p>Answers are off by {100 * facts.calibration_error():.1f} % in the mean: by so much "
        "the probability that is told and the share that is right differ.</p>"
    )
    curve = svg_chart.lines("share that is right", "probability told", {"answers": points}, True)
    return sections.section("Calibration", words + curve)


def _mistakes(facts: Facts) -> str:
    rows = []
    for number, (position, sure) in enumerate(facts.mistakes()):
        name = facts.files[position] if facts.files else f"image {position}"
        rows.append(
            [
                sections.picture(facts, number),
                f'<span class="path">{_text(name)}</span>',
                _text(facts.names[facts.labels[position]]),
                _text(facts.names[facts.predicted[position]]),
                f"{100 * sure:.1f} %",
            ]
        )
    if not rows:
        return sections.section("Worst mistakes", "<p>None.</p>")
    head = ["", "image", "is", "taken for", "probability"]
    return sections.section("Worst mistakes", _table(head, rows))
