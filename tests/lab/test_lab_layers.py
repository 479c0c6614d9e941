"""`bench model`: whose the time of a training step is, and that timing changes nothing."""

from __future__ import annotations

import csv
import io
import json
import signal
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import fastcnn
from fastcnn.backends.cpu.engine import TRAIN
from fastcnn.cli import main
from fastcnn.lab.measure import layer_times
from fastcnn.lab.report import layer_table
from fastcnn.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    ReLU,
    Residual,
    SeparableConv2D,
)

BATCH = 5


def network() -> fastcnn.Sequential:
    """Every kind of row: fused, without weights, of several convolutions, inside another."""
    made = fastcnn.Sequential(
        [
            Conv2D(8, 3, padding="same", activation="relu", strategy="direct"),
            MaxPooling2D(2),
            Residual([Conv2D(8, 3, padding="same", use_bias=False), BatchNormalization()]),
            ReLU(),
            SeparableConv2D(4, 3),
            Dropout(0.2),
            Flatten(),
            Dense(3, activation="softmax"),
        ],
        input_shape=(12, 12, 3),
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


@pytest.fixture(scope="module")
def step() -> layer_times.StepTime:
    return layer_times.measure(network(), BATCH, repeat=1)


def by_path(step: layer_times.StepTime) -> dict[str, layer_times.LayerTime]:
    return {layer.path: layer for layer in step.layers}


def test_the_parts_add_up_to_the_step(step):
    """Of a single step nothing is a median: no call may be missing or counted twice."""
    assert step.kernels + step.waiting == pytest.approx(step.timed, rel=1e-9)
    assert step.loss > 0 and step.update > 0
    assert 0 < step.kernels < step.timed


def test_every_direction_is_where_it_belongs(step):
    found = {path: set(layer.shares) for path, layer in by_path(step).items()}
    every = {"forward", "dx", "dw"}
    assert found == {
        "conv2d": {"forward", "dw"},  # images have no gradient
        "max_pooling2d": {"forward", "dx"},
        "residual": set(),  # its sum is within the normalization
        "residual/conv2d": every,
        "residual/batch_normalization": every,
        "re_lu": set(),  # and so is this
        "separable_conv2d": every,
        "dropout": {"forward", "dx"},
        "flatten": set(),
        "dense": every,
    }
    shares = [share for layer in step.layers for share in layer.shares.values()]
    assert all(share.ms > 0 for share in shares)
    assert [layer.depth for layer in step.layers if "/" in layer.path] == [1, 1]


def test_strategies_and_multiply_adds(step):
    first = by_path(step)["conv2d"].shares
    assert first["forward"].strategies == ["direct"] and first["dw"].chosen == ["asked for"]
    assert first["dw"].multiply_adds == 12 * 12 * 8 * 9 * 3
    separable = by_path(step)["separable_conv2d"].shares["dx"]
    assert len(separable.strategies) == 2
    assert separable.multiply_adds == 4 * 4 * 8 * 9 + 4 * 4 * 8 * 4
    dense = by_path(step)["dense"].shares
    assert not dense["forward"].strategies and dense["dx"].multiply_adds == 64 * 3


@pytest.mark.parametrize("threads", [1, 2])
def test_timed_steps_compute_what_plain_ones_do(threads):
    before = fastcnn.num_threads()
    fastcnn.set_num_threads(threads)
    try:
        timed, plain = network(), network()
        layer_times.measure(timed, BATCH, repeat=2)
        x = np.random.default_rng(0).random((BATCH, 12, 12, 3), dtype=np.float32)
        for _ in range(2 + 2 * 2):
            plain.engine().train(x, np.zeros(BATCH, np.int32), None)
    finally:
        fastcnn.set_num_threads(before)
    for one, other in zip(timed.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_calls_into_libraries_are_timed_too():
    """A host kernel is Python behind an address: the stopwatch runs it like any other."""
    layer = Conv2D(4, 3, strategy={"forward": "im2col-blas", "dw": "im2col-blas"})
    model = fastcnn.Sequential([layer, Flatten(), Dense(2)], input_shape=(8, 8, 2))
    model.compile(fastcnn.optimizers.SGD(1e-6), "mean_squared_error")
    step = layer_times.measure(model, BATCH, repeat=1)
    shares = by_path(step)["conv2d"].shares
    assert [shares[name].strategies for name in ("forward", "dw")] == [["im2col-blas"]] * 2
    # A call into Python takes some microseconds at the least, one of ours of this size far less.
    assert shares["forward"].ms > 0.005 and shares["dw"].ms > 0.005
    assert step.kernels + step.waiting == pytest.approx(step.timed, rel=1e-9)


def test_stopwatch_counts_inside_its_block_alone():
    model = network()
    engine = layer_times._Engine(model)
    x, y = np.zeros((BATCH, 12, 12, 3), np.float32), np.zeros(BATCH, np.int32)
    watch = engine.stopwatch(BATCH)
    with watch:
        engine.train(x, y, None)
    first = watch.seconds()
    engine.train(x, y, None)
    assert len(first) == len(watch.labels) and (first > 0).mean() > 0.5
    # A later reading knows the clock's rate better, by far less than a second run would add.
    np.testing.assert_allclose(watch.seconds(), first, rtol=0.2)


def test_on_one_thread_the_time_is_spent_in_kernels():
    """Were the clock's rate wrong, or calls not timed, kernels would not fill a large step."""
    layer = Conv2D(32, 3, padding="same", strategy="direct")
    model = fastcnn.Sequential([layer, Flatten(), Dense(2)], input_shape=(32, 32, 16))
    model.compile(fastcnn.optimizers.SGD(1e-6), "mean_squared_error")
    before = fastcnn.num_threads()
    fastcnn.set_num_threads(1)
    try:
        steps = [layer_times.measure(model, 16, repeat=1) for _ in range(5)]
    finally:
        fastcnn.set_num_threads(before)
    shares = [step.kernels / step.timed for step in steps]
    # The best of five: another program may take the processor between two kernels.
    assert 0.6 < max(shares) < 1
    assert any(by_path(step)["conv2d"].ms > 10 * step.loss for step in steps)


def test_labels_find_their_ops():
    """The number in a label is that of its op in a program made anew."""
    model = network()
    program, _ = model.program_and_roles(TRAIN, BATCH)
    labels = layer_times._Engine(model).stopwatch(BATCH).labels
    numbered = [label for label in labels if "#" in label]
    assert numbered
    for label in numbered:
        name, _, number = label.rpartition(" #")
        op = program.ops[int(number)]
        assert name == f"{op.layer or 'model'}: {op.kind}"


def test_interrupted_after_some_steps():
    def stop(done: int, now: str) -> None:
        if done == 1:
            signal.raise_signal(signal.SIGINT)

    step = layer_times.measure(network(), BATCH, repeat=50, show=stop)
    assert (step.repeat, step.interrupted) == (2, True)
    assert "median of 2, interrupted" in layer_table.heading(step)


def test_uncompiled_model_is_refused():
    model = fastcnn.Sequential([Flatten(), Dense(2)], input_shape=(2, 2, 1))
    with pytest.raises(ValueError, match="compile"):
        layer_times.measure(model, BATCH)


def test_table_shows_every_layer(step):
    console = Console(width=140, file=io.StringIO())
    console.print(layer_table.table(step, console.width))
    text = console.file.getvalue()
    rows = [line.split() for line in text.splitlines()]
    shown = [cells for cells in rows if "x" in cells or cells[:1] in (["flatten"], ["dense"])]
    assert [cells[0] for cells in shown] == [path.rpartition("/")[2] for path in by_path(step)]
    assert shown[0][1:6] == ["12", "x", "12", "x", "8"]
    assert shown[0][-1] == "direct"
    (last,) = [cells for cells in rows if cells[:1] == ["step"]]
    assert float(last[1]) == pytest.approx(step.timed, rel=0.01)


def test_data_and_lines_agree(step):
    data = layer_table.described(step)
    lines = list(layer_table.lines(step))
    assert all(len(line) == len(layer_table.CSV_HEADER) for line in lines)
    told = sum(d["ms"] for layer in data["layers"] for d in layer["directions"].values())
    assert told + data["ms"]["loss"] + data["ms"]["update"] == pytest.approx(step.kernels)
    shares = [line[5] for line in lines if line[5] is not None]
    assert sum(shares) == pytest.approx(1)
    rate = data["layers"][0]["directions"]["forward"]["gflops"]
    ms = data["layers"][0]["directions"]["forward"]["ms"]
    assert rate == pytest.approx(2 * BATCH * 12 * 12 * 8 * 27 / ms / 1e6)


MODEL = """
import fastcnn
from fastcnn.layers import Conv2D, Flatten

model = fastcnn.Sequential([Conv2D(4, 3){}], input_shape=(6, 6, 1))
"""


@pytest.fixture
def net(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(MODEL.format(", Flatten()"))
    return path


def test_command(net, tmp_path, capsys):
    data, lines = tmp_path / "a.json", tmp_path / "a.csv"
    arguments = ["bench", "model", str(net), "--batch", "2", "--repeat", "2"]
    assert main([*arguments, "--json", str(data), "--csv", str(lines)]) == 0
    text = capsys.readouterr().out
    assert "batches of 2" in text and "conv2d" in text and "median of 2" in text
    found = json.loads(data.read_text())
    assert [layer["layer"] for layer in found["layers"]] == ["conv2d", "flatten"]
    rows = list(csv.DictReader(lines.read_text().splitlines()))
    assert [(row["layer"], row["direction"]) for row in rows] == [
        *(("conv2d", "forward"), ("conv2d", "dw")),
        *(("loss", ""), ("update", ""), ("waiting", "")),
    ]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 2


def test_outputs_need_not_be_classes(tmp_path):
    path = tmp_path / "map.py"
    path.write_text(MODEL.format(""))
    assert main(["bench", "model", str(path), "--batch", "1", "--repeat", "1"]) == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["nothing"], "MODEL: Unknown network 'nothing'"),
        (["missing.h5"], "MODEL: there is no file 'missing.h5'"),
        (
            ["lenet5", "--csv", "nowhere/a.csv"],
            f"there is no folder '{Path('nowhere').absolute()}'",
        ),
    ],
)
def test_command_used_wrongly(more, words, capsys):
    assert main(["bench", "model", *more]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_nothing_to_train(tmp_path, capsys):
    path = tmp_path / "flat.py"
    path.write_text(MODEL.format(", Flatten()").replace("Conv2D(4, 3), ", ""))
    assert main(["bench", "model", str(path)]) == 2
    assert "no weights to train" in capsys.readouterr().err
