"""Tuning: who is timed and how, what is remembered, and that it changes no results in silence."""

from __future__ import annotations

import json

import fake_benchmark
import numpy as np
import pytest
from fake_benchmark import NAMES, PROBLEM

import fastcnn
from fastcnn import Sequential, devices, num_threads, set_num_threads, strategies
from fastcnn import layers as L
from fastcnn.autotune import tuner
from fastcnn.cli import main
from fastcnn.strategies import DIRECTIONS, ERROR_BOUND, STRATEGIES, timing_cache

MODEL = """
import fastcnn
from fastcnn.layers import Conv2D, Dense, Flatten
layers = [Conv2D(4, 3), Conv2D(4, 3), Flatten(), Dense(3)]
model = fastcnn.Sequential(layers, input_shape=(8, 9, 1))
"""


@pytest.fixture(autouse=True)
def own_measurements(tmp_path, monkeypatch):
    """A folder of measurements for each test; the threads are as before when it ends."""
    monkeypatch.setenv(timing_cache.ENVIRONMENT, str(tmp_path / "measured"))
    threads = num_threads()
    yield
    set_num_threads(threads)


@pytest.fixture
def watch(monkeypatch) -> fake_benchmark.CallTimer:
    return fake_benchmark.installed(monkeypatch)


def small(**options) -> Sequential:
    """Two convolutions of 3x3, of which the first needs no dx, and a pointwise one."""
    convolutions = [L.Conv2D(8, 3, **options), L.Conv2D(8, 3), L.Conv2D(4, 1)]
    return Sequential([*convolutions, L.Flatten(), L.Dense(3)], (12, 12, 4))


def compiled(model: Sequential) -> Sequential:
    model.compile("sgd", fastcnn.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def examples(count=16):
    generator = np.random.default_rng(0)
    x = generator.standard_normal((count, 12, 12, 4), np.float32)
    return x, generator.integers(0, 3, count)


def test_each_problem_and_direction_is_timed_once(watch):
    model = small()
    watch.seconds["winograd"] = 0.4e-3
    report = tuner.tune(model, 8)
    tasks = [(row.names, row.direction) for row in report.rows if row.times]
    assert tasks == [
        (["conv2d"], "forward"),
        (["conv2d"], "dw"),
        *((["conv2d_1"], direction) for direction in DIRECTIONS),
    ]
    # The pointwise one can be done by one strategy alone.
    assert [row.names for row in report.rows if not row.times] == [["conv2d_2"]] * 3
    assert not report.interrupted
    for row in report.rows:
        if row.times:
            assert row.after == ("winograd", "measured")
            assert row.gain == pytest.approx(row.times[row.estimated] / 0.4)
    text = str(report)
    for word in ("conv2d_1", "12x12x4 -> 8, 3x3", "winograd ms", "0.400", "5 of 8 directions"):
        assert word in text
    calls = watch.calls.copy()
    again = tuner.tune(small(), 8)
    assert watch.calls == calls
    assert [row.times for row in again.rows] == [row.times for row in report.rows]
    assert again.changed == []


def test_layers_of_the_same_problem_share_a_row(watch):
    layers = [L.Conv2D(4, 3, padding="same") for _ in range(3)]
    report = tuner.tune(Sequential(layers, (8, 8, 4)), 8)
    assert [(row.names, row.direction) for row in report.rows] == [
        (["conv2d", "conv2d_1", "conv2d_2"], "forward"),
        (["conv2d_1", "conv2d_2"], "dx"),
        (["conv2d", "conv2d_1", "conv2d_2"], "dw"),
    ]


def test_named_strategies_need_no_timing(watch):
    report = tuner.tune(small(strategy={"forward": "direct"}), 8)
    assert [(row.names, row.direction) for row in report.rows][:2] == [
        (["conv2d"], "dw"),
        (["conv2d_1"], "forward"),
    ]


def test_inference_needs_the_forward_direction_alone(watch):
    report = tuner.tune(small(), 8, training=False)
    assert {row.direction for row in report.rows} == {"forward"}


def test_frozen_layers_are_timed_for_what_they_do(watch):
    model = small()
    model.layers[0].trainable = False
    directions = [row.direction for row in tuner.tune(model, 8).rows if row.names == ["conv2d"]]
    assert directions == ["forward"]


def test_a_strategy_beyond_the_bound_is_timed_and_not_chosen(watch):
    watch.seconds["winograd"] = 0.4e-3
    model = small()
    model.error_bound = STRATEGIES["direct"].error
    report = tuner.tune(model, 8)
    assert all(row.times["winograd"] == pytest.approx(0.4) for row in report.rows if row.times)
    assert "winograd" not in {row.after.name for row in report.rows}
    assert "(0.400)" in str(report)
    assert "not within the relative error bound" in str(report)


def test_problems_by_name_and_without(watch):
    report = tuner.tune({"first": PROBLEM, "second": PROBLEM}, 8)
    assert [row.names for row in report.rows] == [["first", "second"]] * 3
    assert report.bound == ERROR_BOUND
    report = tuner.tune([PROBLEM], 4, training=False)
    assert [row.names for row in report.rows] == [["12x12x8 -> 8, 3x3"]]
    with pytest.raises(TypeError, match=r"tune: expected a model, problems.* Received 3\."):
        tuner.tune([3])
    with pytest.raises(ValueError, match="tune: batch_size must be"):
        tuner.tune([PROBLEM], 0)
    with pytest.raises(ValueError, match="tune: seconds must be"):
        tuner.tune([PROBLEM], seconds=0)


def test_what_was_left_out_is_said(watch):
    watch.workspace["winograd"] = 3 << 30
    report = tuner.tune([PROBLEM], 8, training=False)
    assert "forward: winograd: it needs 3.0 GiB of workspace" in str(report)
    (row,) = report.described()["rows"]
    assert set(row["left_out"]) == {"winograd"}


def unsteady(watch):
    """Others come and go: in one round of three "winograd-2x2", else the fastest, is not."""
    watch.disturbance = 1.2 * tuner.MOST_DISTURBANCE

    def disturb(name):
        slow = watch.turns.count("winograd-2x2") % 3 == 0
        watch.seconds["winograd-2x2"] = 1.5e-3 if slow else 0.5e-3

    watch.on_call = disturb


def test_times_whose_order_others_may_have_made_choose_nothing(watch):
    model = small()
    before = strategies.training_choices(model, 8)
    unsteady(watch)
    report = tuner.tune(model, 8)
    assert strategies.training_choices(model, 8) == before
    assert not timing_cache.any_known()
    assert [row.disturbed for row in report.rows] == [True] * 5 + [False] * 3
    assert [row.undecided for row in report.rows] == [True] * 5 + [False] * 3
    assert "5 left open: other programs were busy" in report.sentence
    assert "0.500?" in str(report) and "--despite-load" in str(report)
    assert report.rows[0].gain is None
    watch.on_call = lambda name: None
    watch.seconds["winograd-2x2"] = 0.1e-3
    watch.disturbance = 0.8 * tuner.MOST_DISTURBANCE
    report = tuner.tune(model, 8)
    assert {row.after for row in report.rows if row.times} == {("winograd-2x2", "measured")}
    assert "?" not in str(report)


def test_what_is_certain_is_kept_on_a_busy_machine(watch):
    """The fastest, here; which of the others is faster than the other is not."""
    model = small()
    watch.seconds |= {"direct": 1e-3, "winograd": 1.01e-3, "winograd-2x2": 0.5e-3}
    watch.disturbance = 0.9
    report = tuner.tune(model, 8)
    timed = [row for row in report.rows if row.times]
    assert {row.after for row in timed} == {("winograd-2x2", "measured")}
    assert {frozenset(row.left_open) for row in timed} == {frozenset({"direct", "winograd"})}
    first = timed[0]
    kept = timing_cache.find(first.direction, first.problem, 8)
    assert kept == {"winograd-2x2": pytest.approx(0.5)}
    assert not any(row.undecided for row in report.rows)
    assert "left open:" not in report.sentence
    assert "1.010?" in str(report) and "0.500?" not in str(report)
    assert set(first.described()["left_open"]) == {"direct", "winograd"}


def test_all_is_kept_despite_load_where_that_is_asked_for(watch):
    model = small()
    unsteady(watch)
    report = tuner.tune(model, 8, despite_load=True)
    assert {row.after.why for row in report.rows if row.times} == {"measured"}
    assert not any(row.left_open for row in report.rows)
    assert "?" not in str(report)
    with pytest.raises(TypeError, match="tune: despite_load must be True or False"):
        tuner.tune(model, 8, despite_load="yes")


def test_ctrl_c_keeps_what_was_timed(watch):
    model = small()
    first = strategies.training_choices(model, 8)[0].problem
    watch.on_call = lambda name: timing_cache.measured("forward", first, 8) and watch.interrupt()
    report = tuner.tune(model, 8)
    assert report.interrupted
    assert [bool(row.times) for row in report.rows] == [True] + [False] * 7
    assert "interrupted" in report.sentence
    assert sum(bool(row.times) for row in tuner.tune(model, 8).rows) == 5


def test_a_model_in_use_takes_what_tuning_found(watch):
    x, y = examples()
    model = compiled(small())
    model.predict(x)
    before = model.plan_key("predict")
    watch.seconds["winograd"] = 0.4e-3
    tuner.tune(model, 16)
    assert model.plan_key("predict") != before
    assert model.program(images=16).ops[0].attributes["strategy"] == "winograd"
    model.fit(x, y, batch_size=8, verbose=0)


def remember(model: Sequential, fastest: str, images: int) -> None:
    """Let one strategy be the fastest for every convolution of a model that can be done by it."""
    for one in strategies.training_choices(model, images):
        for direction in DIRECTIONS:
            times = dict.fromkeys(NAMES, 2.0) | {fastest: 1.0}
            timing_cache.remember(direction, one.problem, images, times)


def test_fit_tunes_for_its_batches(watch, capsys):
    x, y = examples()
    history = compiled(small()).fit(x, y, batch_size=8, tune=True, verbose=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Tuned for batches of 8 on ")
    assert lines[-1].startswith("Epoch 1/1")
    assert len(history.epoch) == 1
    problem = strategies.training_choices(small(), 8)[0].problem
    assert timing_cache.measured("forward", problem, 8)
    assert not timing_cache.measured("forward", problem, 32)
    with pytest.raises(TypeError, match="fit: tune must be True or False"):
        compiled(small()).fit(x, y, tune="yes")


def test_fit_says_nothing_when_it_is_to_be_silent(watch, capsys):
    compiled(small()).fit(*examples(), tune=True, verbose=0)
    assert capsys.readouterr().err == ""


def test_ctrl_c_while_tuning_ends_the_fit(watch):
    watch.on_call = lambda name: watch.interrupt()
    model = compiled(small())
    history = model.fit(*examples(), tune=True, verbose=0)
    assert history.interrupted
    assert history.epoch == []
    assert model.epoch == 0


def test_fit_says_how_many_choices_are_not_the_estimated_ones(watch, capsys):
    x, y = examples()
    model = compiled(small())
    model.fit(x, y, batch_size=8, verbose=2)
    assert "Strategies" not in capsys.readouterr().err
    chosen = strategies.training_choices(model, 8)
    other = "winograd-2x2"
    remember(model, other, 8)
    able = [one for one in chosen if not STRATEGIES[other].declines(one.direction, one.problem)]
    others = sum(one.strategy != other for one in able)
    assert others > 0
    model.plan_anew()
    model.fit(x, y, batch_size=8, verbose=2)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "Strategies" in line)
    assert f"{others} of {len(chosen)} are not the estimated ones" in line
    model.fit(x, y, batch_size=8, verbose=0)
    assert capsys.readouterr().err == ""


def trained(model: Sequential) -> list[np.ndarray]:
    """Outputs, and the weights after some steps more."""
    x, y = examples()
    outputs = model.predict(x, batch_size=8)
    model.fit(x, y, batch_size=8, verbose=0)
    return [outputs, *model.get_weights()]


def test_pinned_models_give_the_same_bits_whatever_was_measured(tmp_path):
    model = compiled(small())
    remember(model, "direct", 8)
    model.save(tmp_path / "free.h5")
    model.pin_strategies(images=8)
    model.save(tmp_path / "pinned.h5")
    # The last one is 1x1: Winograd cannot do it, and it stays direct.
    for layer in model.layers[:3]:
        assert layer.strategy == dict.fromkeys(DIRECTIONS, "direct")
    expected = trained(model)
    timing_cache.forget()
    remember(model, "winograd", 8)
    pinned, free = (fastcnn.load(tmp_path / f"{name}.h5") for name in ("pinned", "free"))
    assert all(one.why == "asked for" for one in strategies.training_choices(pinned, 8))
    for received, one in zip(trained(pinned), expected, strict=True):
        np.testing.assert_array_equal(received, one)
    # Were they not pinned, they would be others.
    assert (trained(free)[0] != expected[0]).any()


def test_every_convolution_can_be_pinned(tmp_path):
    layers = [L.Residual([L.DepthwiseConv2D(3, padding="same")]), L.SeparableConv2D(6, 3)]
    model = Sequential([*layers, L.Conv2D(4, 3)], (12, 12, 4))
    config = model.get_config()
    model.pin_strategies()
    assert config != model.get_config()
    chosen = strategies.training_choices(model, 32)
    assert {one.why for one in chosen} == {"asked for"}
    again = Sequential.from_config(model.get_config())
    assert strategies.training_choices(again, 32) == chosen
    assert strategies.training_choices(Sequential.from_config(config), 32)[0].why == "estimated"


def test_pinning_keeps_what_is_in_force(tmp_path):
    model = small(strategy={"dw": "winograd-2x2"})
    remember(model, "winograd", 8)
    before = {
        (one.layer, one.direction): one.strategy for one in strategies.training_choices(model, 8)
    }
    model.pin_strategies(images=8)
    after = {
        (one.layer, one.direction): one.strategy for one in strategies.training_choices(model, 64)
    }
    assert after == before
    assert before["conv2d", "dw"] == "winograd-2x2"
    assert before["conv2d_1", "dx"] == "winograd"
    # A direction that this model does not need may be needed by one that is made of it.
    assert set(model.layers[0].strategy) == set(DIRECTIONS)
    assert "auto" not in model.layers[0].strategy.values()


@pytest.fixture
def net(tmp_path) -> str:
    (tmp_path / "net.py").write_text(MODEL)
    return str(tmp_path / "net.py")


def test_tune_shows_a_table(watch, net, capsys):
    assert main(["tune", net, "--batch-size", "8"]) == 0
    said = capsys.readouterr().out
    for word in ("estimated", "chosen", "gain", "conv2d_1", "dx", "winograd-2x2 ms"):
        assert word in said


def test_tune_as_json(watch, net, capsys):
    assert main(["tune", net, "--batch-size", "8", "--threads", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["batch_size"], found["threads"]) == (8, 1)
    row = found["rows"][0]
    assert row["layers"] == ["conv2d"]
    assert row["direction"] == "forward"
    assert set(row["ms"]) == set(NAMES)
    assert row["gain"] == pytest.approx(1.0)


def test_tune_despite_load(watch, net, capsys):
    unsteady(watch)
    assert main(["tune", net, "--inference"]) == 0
    assert "2 left open: other programs were busy" in capsys.readouterr().out
    assert main(["tune", net, "--inference", "--despite-load"]) == 0
    assert "left open" not in capsys.readouterr().out
    assert timing_cache.any_known()


def test_tune_forgets(watch, net, capsys):
    assert main(["tune", net, "--inference", "--seconds", "0.1"]) == 0
    calls = watch.calls.total()
    assert main(["tune", net, "--inference"]) == 0
    assert watch.calls.total() == calls
    assert main(["tune", "--forget"]) == 0
    assert "6 measurements forgotten" in capsys.readouterr().err
    assert not timing_cache.any_known()
    assert main(["tune", net, "--inference", "--forget"]) == 0
    assert watch.calls.total() > calls


def test_tune_says_when_nothing_is_kept(watch, net, capsys, monkeypatch):
    monkeypatch.setenv(timing_cache.ENVIRONMENT, "0")
    monkeypatch.setattr(timing_cache, "_held", {})
    assert main(["tune", net]) == 0
    assert "nothing is kept" in capsys.readouterr().err


REFUSED = [
    ("tune", "give a MODEL"),
    ("tune lenet5 --set cifar", "give a MODEL, or else --set"),
    ("tune --set cifr", "--set: "),
    ("tune lenet", "Did you mean 'lenet5'"),
    ("tune nowhere/net.py", "no file"),
    ("tune lenet5 --device cuda", "device='cuda': it is out to lunch."),
    ("tune --set cifar --precision tf32", "precision='tf32' needs a GPU"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_tune_refuses_in_a_line(capsys, monkeypatch, arguments, words):
    monkeypatch.setattr(devices, "why_not_cuda", lambda: "it is out to lunch")
    assert main(arguments.split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("fastcnn tune: ")
    assert words in line


def test_tune_takes_a_named_set_of_problems(watch, capsys):
    command = ["tune", "--set", "cifar", "--batch-size", "2", "--inference", "--seconds", "0.01"]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert len(rows) > 3
    assert all(row["layers"] for row in rows)
