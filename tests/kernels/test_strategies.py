"""Every strategy and direction on awkward problems, against the reference; and who chooses what."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import reference_model
from building import build, images, targets_for

import fastcnn
from fastcnn import layers as L
from fastcnn import strategies
from fastcnn.backends.cpu import executable
from fastcnn.functional import Convolution
from fastcnn.graph.problem import Problem
from fastcnn.kernels.reference import numpy64
from fastcnn.strategies import DIRECTIONS, STRATEGIES

SAME_3 = ((1, 1), (1, 1))
PROBLEMS = {
    "3x3": Problem(9, 7, 5, 20, (3, 3)),
    "3x3 same": Problem(8, 8, 16, 32, (3, 3), padding=SAME_3),
    "3x3, whole tiles": Problem(10, 14, 17, 16, (3, 3)),
    "3x3 on less than a tile": Problem(2, 3, 4, 6, (3, 3), padding=SAME_3),
    "3x3 on one pixel": Problem(1, 1, 3, 5, (3, 3), padding=SAME_3),
    "3x3 on one row": Problem(1, 19, 3, 5, (3, 3), padding=SAME_3),
    "3x3 on one column": Problem(19, 1, 3, 5, (3, 3), padding=SAME_3),
    "3x3, one channel and filter": Problem(7, 6, 1, 1, (3, 3), padding=SAME_3),
    "3x3, uneven padding": Problem(5, 6, 33, 15, (3, 3), padding=((2, 0), (0, 1))),
    "3x3, padding 3": Problem(5, 5, 3, 6, (3, 3), padding=((3, 3), (3, 3))),
    "3x3, many channels": Problem(7, 7, 130, 70, (3, 3), padding=SAME_3),
    "3x3, large kernel": Problem(4, 5, 260, 264, (3, 3), padding=SAME_3),
    "3x3, large image": Problem(45, 50, 16, 40, (3, 3), padding=SAME_3),
    "3x3 stride 2": Problem(9, 8, 5, 17, (3, 3), (2, 2), ((0, 1), (0, 1))),
    "5x4 stride 3 and 2": Problem(11, 12, 9, 17, (5, 4), (3, 2), ((1, 0), (2, 1))),
    "one channel, same": Problem(12, 12, 1, 6, (5, 5), padding=((2, 2), (2, 2))),
    "5x5": Problem(9, 13, 18, 50, (5, 5)),
    "5x5, uneven padding": Problem(12, 10, 20, 33, (5, 5), padding=((4, 1), (0, 2))),
    "5x5, large kernel": Problem(8, 7, 190, 170, (5, 5), padding=((2, 2), (2, 2))),
    "3x3 stride 2, copied by channels": Problem(13, 11, 21, 37, (3, 3), (2, 2), ((0, 2), (1, 0))),
    "dilated, copied by channels": Problem(9, 20, 24, 40, (3, 2), (1, 2), dilation=(2, 3)),
    "strided, uneven padding": Problem(11, 8, 3, 17, (3, 2), (2, 3), ((1, 0), (0, 1))),
    "dilated groups": Problem(10, 10, 6, 8, (3, 3), dilation=(2, 2), groups=2),
    "1x1": Problem(6, 6, 33, 16, (1, 1)),
    "1x1 by panels": Problem(12, 11, 60, 40, (1, 1)),
    "1x1 by panels of both": Problem(19, 14, 60, 132, (1, 1)),
    "1x1 by panels of all images": Problem(2, 2, 64, 136, (1, 1)),
    "1x1 stride 2, copied together": Problem(12, 11, 60, 40, (1, 1), (2, 2), ((1, 0), (0, 1))),
    "7x7, larger than the image": Problem(4, 3, 5, 6, (7, 7), padding=((3, 3), (3, 3))),
    "11x11": Problem(16, 13, 3, 8, (11, 11), padding=((5, 5), (5, 5))),
}


def arrays(problem, batch, integers=False):
    """x, kernel, bias, dy: normal numbers, or small integers, whose sums are exact."""
    generator = np.random.default_rng(1)

    def draw(*shape):
        if integers:
            return generator.integers(-2, 3, shape).astype(np.float64)
        return generator.standard_normal(shape)

    return (
        draw(batch, problem.height, problem.width, problem.channels),
        draw(*problem.kernel, problem.channels_per_group, problem.filters),
        draw(problem.filters),
        draw(batch, problem.out_height, problem.out_width, problem.filters),
    )


def operands(direction, x, kernel, bias, dy):
    return {"forward": (x, kernel, bias), "dx": (dy, kernel, None), "dw": (x, dy, None)}[direction]


def computed(strategy, direction, problem, *given):
    return Convolution(strategy, direction, problem, *operands(direction, *given))()


def expected(direction, problem, *given):
    first, second, bias = operands(direction, *given)
    result = numpy64.compute(direction, problem, first, second)
    return result if bias is None else result + bias


@cache
def right(direction, problem, batch, integers=False):
    """What every strategy should make of `arrays`: computed once, which takes longer than they."""
    return expected(direction, problem, *arrays(problem, batch, integers))


def assert_written_before_read(strategy, direction, problem, monkeypatch):
    """What the memory of a batch held before makes no difference."""
    given = arrays(problem, 5)
    before = computed(strategy, direction, problem, *given).copy()
    allocate = executable.allocate

    def not_a_number(size):
        memory = allocate(size)
        memory[: size // 4 * 4].view(np.float32)[:] = np.nan
        return memory

    monkeypatch.setattr(executable, "allocate", not_a_number)
    np.testing.assert_array_equal(computed(strategy, direction, problem, *given), before)


ABLE = [
    (strategy, direction, name)
    for strategy in STRATEGIES
    for direction in DIRECTIONS
    for name, problem in PROBLEMS.items()
    if STRATEGIES[strategy].declines(direction, problem) is None
]


@pytest.mark.parametrize(("strategy", "direction", "name"), ABLE)
def test_against_the_reference(strategy, direction, name):
    """Within the error that the strategy states, for one image and for several."""
    for batch in (1, 5):
        given = arrays(PROBLEMS[name], batch)
        wanted = right(direction, PROBLEMS[name], batch)
        found = computed(strategy, direction, PROBLEMS[name], *given)
        assert found.dtype == np.float32
        assert found.shape == wanted.shape
        error = np.abs(found - wanted).max() / np.abs(wanted).max()
        assert error <= STRATEGIES[strategy].error, f"batch {batch}: {error:.2g}"


EXACT = ("direct", "im2col", "im2col-blas")


@pytest.mark.parametrize(("strategy", "direction", "name"), [a for a in ABLE if a[0] in EXACT])
def test_integers_are_exact(strategy, direction, name):
    """What only adds products must not err at all where every sum can be represented."""
    given = arrays(PROBLEMS[name], 3, integers=True)
    np.testing.assert_array_equal(
        computed(strategy, direction, PROBLEMS[name], *given),
        right(direction, PROBLEMS[name], 3, integers=True),
    )


def test_every_strategy_has_work():
    """The table must not be emptied by strategies that decline everything."""
    for strategy in STRATEGIES:
        for direction in DIRECTIONS:
            assert sum(one[:2] == (strategy, direction) for one in ABLE) >= 8


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["3x3, large kernel", "3x3, large image", "3x3 on one row"])
def test_same_bits_for_any_threads(strategy, direction, name):
    results = []
    for batch in (1, 6):
        given = arrays(PROBLEMS[name], batch)
        for threads in (1, 2, 3):
            fastcnn.set_num_threads(threads)
            results.append(computed(strategy, direction, PROBLEMS[name], *given).copy())
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other)
        results.clear()
    fastcnn.set_num_threads(2)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_named_strategy_is_taken_or_refused(strategy):
    """Never another one in its place."""
    for name, problem in PROBLEMS.items():
        given = arrays(problem, 1)
        for direction in DIRECTIONS:
            reason = STRATEGIES[strategy].declines(direction, problem)
            if reason is not None:
                with pytest.raises(ValueError, match=f"'{strategy}' cannot compute {direction}: "):
                    computed(strategy, direction, problem, *given)
            else:
                choice = strategies.choose(direction, problem, 1, wished=strategy)
                assert choice == (strategy, "asked for"), name


def curve(net, strategy):
    """The losses of some steps, and what the model says in the end."""
    shape, layers, steps = net
    model = build(shape, layers(strategy), "sparse_categorical_crossentropy", random=False)
    model.optimizer.learning_rate = 0.05
    x = images(8 * steps, shape)
    y = targets_for(model, 8 * steps)
    losses = [
        model.train_on_batch(x[part], y[part])
        for part in (slice(8 * step, 8 * step + 8) for step in range(steps))
    ]
    return np.array([*losses, *model.predict(x[:8]).ravel()])


def lenet5(strategy):
    return [
        L.Conv2D(6, 5, padding="same", activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Conv2D(16, 5, activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(120, activation="relu"),
        L.Dense(84, activation="relu"),
        L.Dense(10, activation="softmax"),
    ]


def cifar_small(strategy):
    return [
        L.Conv2D(32, 3, padding="same", activation="relu", strategy=strategy),
        L.Conv2D(32, 3, activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Conv2D(64, 3, padding="same", activation="relu", strategy=strategy),
        L.Conv2D(64, 3, activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Flatten(),
        L.Dense(64, activation="relu"),
        L.Dense(10, activation="softmax"),
    ]


NETS = {"lenet5": ((28, 28, 1), lenet5, 12), "cifar-small": ((32, 32, 3), cifar_small, 8)}


@pytest.mark.parametrize(
    ("net", "strategy"),
    [
        (net, strategy)
        for net in NETS
        for strategy in STRATEGIES
        if strategy != "direct" and not (net == "lenet5" and strategy == "winograd-2x2")
    ],
)
def test_training_curves_agree(net, strategy):
    """Each step's error passes into the next: some ten steps multiply a strategy's error."""
    tolerance = 10 * STRATEGIES[strategy].error
    np.testing.assert_allclose(
        curve(NETS[net], strategy), curve(NETS[net], "direct"), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_gradients_of_the_decisions_taken(strategy):
    """A strategy's error, below 1e-6 of a channel's largest value, is all that its gradients have.

    A ReLU's input that is nearer to 0 than that has an error of its own sign. The gradients then
    are those of another of the pieces that the network is linear in, far from float64's with "fft",
    whose every number has the error of the largest; but they are as exact, which float64 shows that
    takes the same decisions. One bright pixel brings some of its 19,000 numbers that near to 0.
    """
    layers = [
        L.Conv2D(8, 3, padding="same", activation="relu", strategy=strategy),
        L.MaxPooling2D(),
        L.Conv2D(8, 3, activation="relu", strategy=strategy),
        L.Flatten(),
        L.Dense(5),
    ]
    model = build((16, 16, 3), layers, random=False)
    x = images(8, (16, 16, 3))
    x[:, 0, 0] *= 4000
    y = targets_for(model, 8)
    outputs = {layer.path: model.activations(x, layer) for layer in (layers[0], layers[2])}
    gradients = model.gradients(x, y)[1]
    _, exact = reference_model.gradients(model, x, y)
    _, followed = reference_model.gradients(model, x, y, outputs=outputs)
    assert largest_error(gradients, followed) <= STRATEGIES[strategy].error
    assert (largest_error(gradients, exact) > 1e-3) == (strategy == "fft")


def largest_error(gradients, expected):
    """Of any element of any gradient, as a part of that gradient's largest."""
    return max(
        np.abs(gradients[path] - gradient).max() / np.abs(gradient).max()
        for path, gradient in expected.items()
    )


def test_wishes():
    each = {"forward": "winograd", "dw": "direct"}
    layer = L.Conv2D(8, 3, strategy=each)
    model = build((8, 8, 4), [layer])
    assert layer.strategy == {"forward": "winograd", "dx": "auto", "dw": "direct"}
    (op,) = (op for op in model.program(training=True).ops if op.kind == "conv2d")
    assert (op.attributes["strategy"], op.attributes["chosen"]) == ("winograd", "asked for")
    restored = fastcnn.Sequential.from_config(model.get_config())
    assert restored.layers[0].strategy == layer.strategy


def test_a_wish_is_checked_when_the_layer_is_built():
    with pytest.raises(ValueError, match=r"Conv2D 'conv2d'.*'winograd' cannot compute forward: "):
        build((8, 8, 4), [L.Conv2D(8, 7, strategy="winograd")])
    with pytest.raises(ValueError, match=r"Unknown strategy 'winnograd'. Did you mean 'winograd'"):
        L.Conv2D(8, 3, strategy="winnograd")
    with pytest.raises(ValueError, match=r"strategy must be 'auto', one of"):
        L.Conv2D(8, 3, strategy={"backward": "direct"})
    with pytest.raises(ValueError, match=r"strategy must be 'auto', one of"):
        L.Conv2D(8, 3, strategy=3)


def test_auto_keeps_within_the_error_bound():
    problem = Problem(32, 32, 64, 64, (3, 3), padding=SAME_3)
    for direction in DIRECTIONS:
        assert strategies.choose(direction, problem, 32).name == "winograd"
        bound = STRATEGIES["winograd"].error / 2
        name = strategies.choose(direction, problem, 32, bound).name
        assert STRATEGIES[name].error <= bound
    with pytest.raises(ValueError, match=r"No strategy keeps within a relative error of 1e-09"):
        strategies.choose("forward", problem, 32, 1e-9)


def test_a_model_says_its_bound():
    model = fastcnn.Sequential([L.Conv2D(64, 3)], (32, 32, 64), error_bound=1.2e-5)
    (op,) = model.program().ops
    assert STRATEGIES[op.attributes["strategy"]].error <= 1.2e-5
    assert fastcnn.Sequential.from_config(model.get_config()).error_bound == 1.2e-5
    with pytest.raises(ValueError, match=r"error_bound must be a number above 0"):
        fastcnn.Sequential([L.Conv2D(64, 3)], (32, 32, 64), error_bound=0)


def test_arrays_that_do_not_fit_are_refused():
    problem = PROBLEMS["1x1"]
    with pytest.raises(ValueError, match=r"Expected an array of shape \(2, 6, 6, 33\)"):
        Convolution("direct", "forward", problem, np.zeros((2, 6, 6, 3)), np.zeros((1, 1, 33, 16)))
    with pytest.raises(ValueError, match=r"direction must be one of"):
        Convolution("direct", "backward", problem, np.zeros(1), np.zeros(1))
