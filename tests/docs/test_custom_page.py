"""Pieces of one's own take a few lines each, as the page and its example show them."""

from __future__ import annotations

import ast

import pytest
from code_blocks import ROOT, blocks

FEWER_THAN = 15


def pieces(source):
    """The lines that each class and function of a text takes, without empty ones."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name != "main":
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            lines = source.splitlines()[first - 1 : node.end_lineno]
            yield node.name, sum(bool(line.strip()) for line in lines)


@pytest.mark.parametrize("name", ["docs/custom.md", "examples/custom_pieces.py"])
def test_each_piece_takes_fewer_than_15_lines(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    source = text
    if name.endswith(".md"):
        source = "\n".join(block.text for block in blocks(text) if block.way[0] == "python")
    counts = dict(pieces(source))
    assert len(counts) >= 7  # layers, losses, metric, schedule, augmentation, callback
    assert {piece: lines for piece, lines in counts.items() if lines >= FEWER_THAN} == {}
