"""The summary: true figures, and nothing allocated to find them."""

from __future__ import annotations

import tracemalloc

import pytest
from test_training_step import small_resnet

from fastcnn import Sequential
from fastcnn import layers as L
from fastcnn.models.summary import summary_text
from fastcnn.strategies import DIRECTIONS, STRATEGIES, timing_cache


def vgg16():
    def stage(filters, convolutions):
        convs = [
            L.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(convolutions)
        ]
        return [*convs, L.MaxPooling2D()]

    return [
        *stage(64, 2),
        *stage(128, 2),
        *stage(256, 3),
        *stage(512, 3),
        *stage(512, 3),
        L.Flatten(),
        L.Dense(4096, activation="relu"),
        L.Dense(4096, activation="relu"),
        L.Dense(1000, activation="softmax"),
    ]


def test_summary_of_vgg16_allocates_nothing(capsys):
    tracemalloc.start()
    model = Sequential(vgg16(), input_shape=(224, 224, 3))
    model.summary()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    text = capsys.readouterr().out
    assert "138,357,544" in text
    assert "15.5 G" in text
    assert sum(p.size for p in model.parameters) == 138_357_544
    assert model.output_shape == (1000,)
    assert peak < 20e6  # the parameters alone would take 553 MB


def test_summary_says_shapes_and_parameters(capsys):
    model = Sequential(small_resnet(), input_shape=(32, 32, 3))
    model.summary()
    text = capsys.readouterr().out
    for layer in model.layers:
        assert layer.name in text
    total = sum(p.size for p in model.parameters)
    trainable = sum(p.size for p in model.parameters if p.trainable)
    assert f"{total:,}" in text
    assert f"{trainable:,}" in text
    assert trainable < total  # moving statistics are not trained


def test_summary_marks_strides_that_leave_pixels_out():
    fitting = L.Conv2D(2, 3, strides=2, name="fitting")  # (9 - 3) / 2 + 1 is whole
    pooling = L.MaxPooling2D(3, strides=(1, 2), name="pooling")  # (4 - 3) / 2 + 1 is not
    text = summary_text(Sequential([fitting, pooling, L.Flatten()], (9, 9, 1)))
    row, _ = (line for line in text.splitlines() if "~" in line)
    assert row.startswith("pooling (MaxPooling2D)") and " 2 x 1 x 2 ~" in row
    assert text.replace("\n", " ").endswith(
        "~ pooling: the strides do not fit, so that no window reads the last column of its 4 x 4 "
        "input"
    )


def test_summary_fits_80_columns_whatever_the_names():
    name = "a_layer_of_a_name_that_is_longer_than_a_table_has_room_for"
    inner = L.Residual([L.Conv2D(64, 3, padding="same", name=name), L.BatchNormalization()])
    text = summary_text(Sequential([inner, L.Flatten()], (224, 224, 64)))
    assert max(map(len, text.splitlines())) == 80
    assert "a_layer_of" in text and "…" in text
    assert name in text.replace("\n", " ").split("activations")[1]  # beside its strategies


MIXED = {"forward": "winograd", "dx": "winograd-2x2", "dw": "direct"}


def strategy_of(text: str, layer: str) -> str:
    """What stands in the last column of a layer's line, or where that is too wide, before the
    layer's name below the table."""
    lines = text.splitlines()
    (head,) = (line for line in lines if line.startswith("layer "))
    (line,) = (line for line in lines if line.startswith(f"{layer} ("))
    if "strategy" in head:
        return line[head.index("strategy") :]
    below = (row.partition(": ") for row in lines[lines.index(line) :])
    return next(strategy for strategy, _, names in below if layer in names.split(", "))


def convolutions(*settings) -> Sequential:
    return Sequential([L.Conv2D(4, 3, **arguments) for arguments in settings], (14, 14, 4))


def test_summary_shows_the_strategy_of_each_direction():
    model = convolutions({"strategy": "direct"}, {"strategy": MIXED}, {"strategy": MIXED})
    text = summary_text(model)
    assert strategy_of(text, "conv2d") == "direct!"
    assert strategy_of(text, "conv2d_1") == "winograd! / winograd-2x2! / direct!"
    # Nothing in front of the first layer is trained, and of a frozen one its kernel is not.
    first = convolutions({"strategy": MIXED}, {"strategy": MIXED, "trainable": False})
    assert strategy_of(summary_text(first), "conv2d") == "winograd! / - / direct!"
    assert strategy_of(summary_text(first), "conv2d_1") == "winograd! / winograd-2x2! / -"
    assert "! named in the layer's settings" in text
    assert "* measured" not in text


def test_summary_names_batch_and_error_bound(capsys):
    model = convolutions({})
    model.error_bound = 0.25
    model.summary(images=7)
    text = capsys.readouterr().out
    assert "for batches of 7," in text
    assert "within a relative error of 0.25" in text
    assert "! named" not in text


def test_summary_marks_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setenv(timing_cache.ENVIRONMENT, str(tmp_path))
    model = convolutions({}, {})
    assert "*" not in summary_text(model, 8)
    ops = [op for op in model.program(training=True, images=8).ops if op.kind == "conv2d"]
    problem, estimated = ops[0].attributes["problem"], ops[0].attributes["strategy"]
    other = "direct" if estimated != "direct" else "winograd"
    for direction in DIRECTIONS:
        timing_cache.remember(direction, problem, 8, {other: 1.0})
    text = summary_text(model, 8)
    assert strategy_of(text, "conv2d").startswith(f"{other}*")
    assert "*" not in strategy_of(text, "conv2d_1")
    assert "* measured on this machine; " in text
    assert "of 5 are not as estimated" in text
    # One image is computed in another way: what was measured for eight says nothing of it.
    assert "*" not in summary_text(model, 1)


def test_summary_shows_both_convolutions_of_a_separable_one(monkeypatch):
    for name in set(STRATEGIES) - {"direct"}:
        monkeypatch.delitem(STRATEGIES, name)

    def described():
        return summary_text(Sequential([L.DepthwiseConv2D(3), L.SeparableConv2D(8, 3)], (9, 9, 4)))

    assert strategy_of(described(), "separable_conv2d") == "direct"
    pointwise = STRATEGIES["direct"]._replace(
        name="pointwise",
        declines=lambda direction, problem: "it is wide" if problem.depthwise else None,
        cycles=lambda direction, problem, images: 0.0,
    )
    monkeypatch.setitem(STRATEGIES, "pointwise", pointwise)
    assert strategy_of(described(), "depthwise_conv2d") == "direct"
    assert strategy_of(described(), "separable_conv2d") == "direct + pointwise"


def test_summary_of_no_convolution_has_no_strategies():
    text = summary_text(Sequential([L.Dense(3)], (4,)))
    assert "strateg" not in text


@pytest.mark.parametrize("training", [False, True])
def test_programs_show_strategies_with_the_reason(training):
    text = str(convolutions({"strategy": "direct"}).program(training))
    assert "strategy=direct (asked for)" in text
    assert "chosen=" not in text
    assert "(estimated)" in str(convolutions({}).program(training))
