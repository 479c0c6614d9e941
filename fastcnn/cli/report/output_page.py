"""The report of a training of a regression, or of labels."""

from __future__ import annotations

import numpy as np

from fastcnn.cli.report import sections
from fastcnn.cli.report.facts import OutputFacts
from fastcnn.utils import svg_chart
from fastcnn.utils.markup import table, text

MOST_POINTS = 400
"""Images of a picture, which is no clearer with more."""
MOST_CHARTS = 8
WORST = 24
"""So many images that are far off are shown."""


def page(facts: OutputFacts) -> str:
    """Return the report as HTML.

    Args:
        facts: What it tells.
    """
    title = f"{facts.settings['model']} on {facts.settings['data']}"
    scores = facts.scores
    sentence = scores.sentence()
    head, *rows = scores.table()
    images = [[kind, f"{count:,}"] for kind, count in facts.counts.items()]
    data = table(["part", "images"], images) + sections.sizes(facts)
    parts = [
        f'<section><p class="big">{text(sentence[0].upper() + sentence[1:])}</p>'
        f"<p>on {len(scores.targets):,} {facts.measured_on} images, by the weights of epoch "
        f"{facts.best_epoch}{sections.chosen_by(facts)}.</p>{sections.notes(facts)}</section>",
        f'<div class="two">{sections.section("Images", data)}{sections.choices(facts)}</div>',
        f'<div class="two">{sections.curves(facts)}</div>',
        sections.section("Outputs", table(head, [[*map(text, row)] for row in rows])),
        f'<div class="two">{_charts(facts)}</div>',
        _worst(facts),
        f'<div class="two">{sections.costs(facts)}{sections.usage()}</div>',
    ]
    return sections.document(title, parts)


def _charts(facts: OutputFacts) -> str:
    """Predicted against true, and what is left, of each number."""
    scores = facts.scores
    if scores.kind != "values":
        return ""
    count = len(scores.targets)
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))
    charts = []
    for number, name in enumerate(scores.names[:MOST_CHARTS]):
        true, output = scores.targets[shown, number], scores.outputs[shown, number]
        points = [(float(x), float(y)) for x, y in zip(true, output, strict=True)]
        rest = [(x, y - x) for x, y in points]
        chart = svg_chart.scatter("predicted", "true", points, diagonal=True)
        chart += svg_chart.scatter("predicted - true", "true", rest)
        charts.append(sections.section(name, chart))
    return "".join(charts)


def _worst(facts: OutputFacts) -> str:
    scores, rows = facts.scores, []
    for number, position in enumerate(scores.worst(WORST)):
        name = facts.files[position] if facts.files else f"image {position}"
        true, output = scores.targets[position], scores.outputs[position]
        told = (_labels(facts, true), _labels(facts, output))
        if scores.kind == "values":
            told = (", ".join(f"{v:.4g}" for v in true), ", ".join(f"{v:.4g}" for v in output))
        cell = f'<span class="path">{text(name)}</span>'
        rows.append([sections.picture(facts, number), cell, *map(text, told)])
    if not rows:
        return sections.section("Furthest off", "<p>None.</p>")
    return sections.section("Furthest off", table(["", "image", "is", "predicted"], rows))


def _labels(facts: OutputFacts, row: np.ndarray) -> str:
    named = [name for name, value in zip(facts.scores.names, row, strict=True) if value > 0.5]
    return ", ".join(named) or "none"
