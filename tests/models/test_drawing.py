"""A network's drawing: what blocks say, what is folded, and that nothing lies on anything."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import combinations

import pytest
from matplotlib import pyplot

import fastcnn
from fastcnn import applications, layers
from fastcnn.cli import main
from fastcnn.models import drawing
from fastcnn.plots.network_graph import Block, Fork, Repeat, folded, items
from fastcnn.plots.network_layout import Box, Circle, Note

NETWORKS = {
    name: applications.get(name)
    for name in ("lenet5", "resnet20", "googlenet", "densenet-bc-100-12", "efficientnet-b0")
}


def row(*chain, shape=(16, 16, 3)):
    return items(fastcnn.Sequential([*chain], shape).layers)


def test_what_only_changes_numbers_stands_in_the_block_before():
    conv = layers.Conv2D(8, (3, 5), strides=2)
    blocks = row(conv, layers.BatchNormalization(), layers.ReLU(), layers.MaxPooling2D(3, 2))
    assert blocks == (
        Block("Conv 3x5, 8, stride 2", "conv", ("BN", "ReLU")),
        Block("Max pool 3x3, stride 2", "pool"),
    )
    assert blocks[0].shape == (7, 6, 8)
    (block,) = row(layers.Conv2D(2, 1), layers.Dropout(0.5), layers.StochasticDepth(0.1))
    assert block.details == ("dropout 0.5", "stochastic depth 0.1")
    names = [block.text for block in row(layers.PReLU(), layers.LeakyReLU(), layers.UpSampling2D())]
    assert names == ["PReLU", "Leaky ReLU", "Up sampling"]


def test_branches_say_what_joins_them():
    body = [layers.Conv2D(3, 1)]
    sums, side = row(layers.Residual(body), layers.Concat([], body_of(3)))
    assert (sums.join, sums.straight, sums.chains[1]) == ("+", True, ())
    assert (side.join, side.straight, len(side.chains)) == ("concat", False, 2)
    (gate,) = row(layers.SqueezeExcite(2))
    assert gate.join == "×"


def body_of(filters):
    return [layers.Conv2D(filters, 1)]


def test_rows_that_repeat_are_folded_whatever_their_shapes_and_names():
    blocks = [
        layer
        for filters in (4, 4, 4, 8)
        for layer in (layers.Conv2D(filters, 3), layers.MaxPooling2D(1))
    ]
    repeat, conv, pool = folded(row(*blocks))
    assert isinstance(repeat, Repeat)
    assert (repeat.count, [item.text for item in repeat.items]) == (3, ["Conv 3x3, 4", POOL])
    assert repeat.shape == (10, 10, 4)
    assert (conv.text, pool.text) == ("Conv 3x3, 8", POOL)


POOL = "Max pool 1x1"


def test_a_deep_network_is_folded_and_a_small_one_is_not():
    deep = drawing.drawing(applications.resnet110())
    assert any(isinstance(shape, Note) and shape.text == "x 17" for shape in deep.shapes)
    small = drawing.drawing(applications.resnet20())
    assert not any(isinstance(shape, Box) and shape.kind == "repeat" for shape in small.shapes)
    with pytest.raises(TypeError, match="fold must be True or False"):
        applications.lenet5().plot(fold=3)


def overlap(first, second):
    return (
        first.x < second.x + second.width
        and second.x < first.x + first.width
        and first.y < second.y + second.height
        and second.y < first.y + first.height
    )


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("fold", [True, False])
def test_no_block_lies_on_another_or_outside(name, fold):
    picture = drawing.drawing(NETWORKS[name](), fold)
    boxes = [shape for shape in picture.shapes if isinstance(shape, Box) and shape.kind != "repeat"]
    circles = [shape for shape in picture.shapes if isinstance(shape, Circle)]
    boxes += [Box(shape.x - 8, shape.y - 8, 16, 16, "join") for shape in circles]
    assert not [pair for pair in combinations(boxes, 2) if overlap(*pair)]
    for box in boxes:
        assert 0 <= box.x <= box.x + box.width <= picture.width
        assert 0 <= box.y <= box.y + box.height <= picture.height


def test_a_name_is_no_formula(tmp_path):
    name = r"$\frac{$"
    model = fastcnn.Sequential([layers.Dense(1)], (2,), name=name)
    _, axis = model.plot(tmp_path / "a.png")
    assert any(name in text.get_text() for text in axis.texts)


def test_every_convolution_is_drawn():
    def convolutions(row):
        for item in row:
            if isinstance(item, Fork):
                for chain in item.chains:
                    yield from convolutions(chain)
            elif item.kind == "conv":
                yield item

    model = applications.googlenet()
    every = [layer for top in model.layers for layer in top.walk()]
    expected = sum(isinstance(layer, layers.Conv2D) for layer in every)
    assert len([*convolutions(items(model.layers))]) == expected


def test_a_drawing_is_written_in_the_format_of_its_name(tmp_path, capsys):
    figure, axes = applications.lenet5().plot()
    assert "Conv 5x5, 6" in {text.get_text() for text in axes.texts}
    pyplot.close(figure)
    assert main(["summary", "lenet5", "--plot", str(tmp_path / "net.svg")]) == 0
    assert "<svg" in (tmp_path / "net.svg").read_text()
    assert not pyplot.get_fignums()
    with pytest.raises(ValueError, match="no layers yet"):
        fastcnn.Sequential([], (4,)).plot()


def test_a_notebook_shows_a_model_without_trusting_its_names():
    layer = layers.Dense(2, name="<b>")
    page = fastcnn.Sequential([layer], (4,), name="<script>")._repr_html_()
    assert "<script>" not in page
    assert "<b>" not in page
    assert "&lt;b&gt; (Dense)" in page
    tree = ElementTree.fromstring(page)
    assert [cell.text for cell in tree.iter("td")][:3] == ["<b> (Dense)", "2", "10"]
    assert next(tree.iter("svg")).attrib["aria-label"] == "The layers of <script>"
    assert "no layers" not in fastcnn.Sequential([], (4,))._repr_html_()
