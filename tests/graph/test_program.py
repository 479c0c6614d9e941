"""The program as data: what its index knows, and what is refused when a program is made."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from building import build, images, targets_for

import fastcnn
from fastcnn import Sequential, initializers, losses, optimizers
from fastcnn import layers as L
from fastcnn.backends.step import inside_first
from fastcnn.graph.problem import Problem
from fastcnn.graph.program import Program
from fastcnn.hdf5.errors import FormatError
from fastcnn.layers.activation import lower_activation
from fastcnn.layers.base import MOST_DEPTH, Layer, Parameter
from fastcnn.saving import checkpoint


def check_index(program: Program) -> None:
    """What the index says of each buffer is what a look at every op says, and ops run in order."""
    for buffer in program.buffers:
        makers = [op for op in program.ops if buffer in op.outputs]
        assert [program.producer(buffer)] == (makers or [None])
        readers = {op for op in program.ops if buffer in op.inputs}
        assert len(program.consumers(buffer)) == len(readers)
        assert set(program.consumers(buffer)) == readers
    written = {program.input}
    for op in program.ops:
        outside = {buffer for buffer in op.inputs if program.producer(buffer) is None}
        assert set(op.inputs) <= written | outside
        written.update(op.outputs)


NETS = {
    "folded and fused": [
        lambda: L.ZeroPadding2D(1),
        lambda: L.Conv2D(3, 3),
        lambda: L.BatchNormalization(),
        lambda: L.ReLU(),
        lambda: L.MaxPooling2D(2),
        lambda: L.Residual([L.Conv2D(3, 1), L.BatchNormalization()]),
        lambda: L.ReLU(),
    ],
    "a normalization of what is added to it": [
        lambda: L.Conv2D(3, 1),
        lambda: L.Residual([L.BatchNormalization()]),
        lambda: L.ReLU(),
    ],
    "one value, many readers": [
        lambda: L.Conv2D(2, 1),
        lambda: L.Concat([], [], [L.BatchNormalization()], [L.ReLU()]),
        lambda: L.Residual([], []),
    ],
}


@pytest.mark.parametrize("kind", ["train", "test", "predict"])
@pytest.mark.parametrize("name", NETS)
def test_the_index_follows_every_pass(name, kind):
    model = build((6, 6, 2), [*[make() for make in NETS[name]], L.Flatten(), L.Dense(2)])
    program, _ = model.program_and_roles(kind)
    check_index(program)


def test_ops_are_changed_by_their_program_alone():
    program = Program((2,), training=False)
    program.add("copy", [program.input], (2,))
    (op,) = program.ops
    with pytest.raises(AttributeError):
        op.inputs = ()
    assert isinstance(program.ops, tuple)


def test_a_buffer_is_written_once():
    program = Program((2,), training=False)
    program.layer = "mine"
    copied = program.add("copy", [program.input], (2,))
    with pytest.raises(ValueError, match=r"Layer 'mine': the op add writes .* the op copy makes"):
        program.append("add", [copied, copied], [copied])
    with pytest.raises(ValueError, match="holds the images already"):
        program.append("copy", [copied], [program.input])
    check_index(program)


class Custom(Layer):
    """A layer that lowers itself as the test wants, with one kernel for a matrix product."""

    def __init__(self, lower_by, **common):
        super().__init__(**common)
        self.lower_by = lower_by

    def make_parameters(self, shape):
        features = shape[-1]
        uniform = initializers.get("glorot_uniform")
        return [Parameter(self, "kernel", (features, features), uniform)]

    def lower(self, program, x):
        return self.lower_by(program, x, self.named_parameters())


def product(program, x, parameters):
    return program.add("matmul", [x], x.shape, parameters)


def transposed(program, x, parameters):
    return program.add("matmul_dx", [x], x.shape, parameters)


def misspelt(program, x, parameters):
    return program.add("matmull", [x], x.shape, parameters)


def twice(program, x, parameters):
    return product(program, product(program, x, parameters), parameters)


def unread_parameter(program, x, parameters):
    return program.add("activation", [x], x.shape, parameters, function="leaky_relu", constant=0.1)


def scaled_by_itself(program, x, parameters):
    return program.add("scale_shift", [x, x, x], x.shape)


REFUSED = {
    "an op without a rule": (transposed, "Layer 'custom': the op matmul_dx has no backward rule"),
    "a kernel used twice": (twice, "'custom/kernel', as matmul_dw does already: two ops use"),
    "a parameter that the rule leaves out": (
        unread_parameter,
        "Layer 'custom': the op activation has no gradient for its parameter 'custom/kernel'",
    ),
    "an input that the rule leaves out": (
        scaled_by_itself,
        "'custom': the op scale_shift passes no gradient on to the op matmul of layer 'dense'",
    ),
    "an op that does not exist": (misspelt, "matmull has no backward rule"),
}


def custom_net(lower_by) -> Sequential:
    return build((3,), [L.Dense(3), Custom(lower_by), L.Dense(2)])


@pytest.mark.parametrize("call", ["gradients", "train_on_batch", "fit"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_trained_is_refused_before_the_first_step(name, call):
    lower_by, message = REFUSED[name]
    model = custom_net(lower_by)
    before = model.get_weights()
    x = images(2, (3,))
    options = {"verbose": 0} if call == "fit" else {}
    with pytest.raises(ValueError, match=message):
        getattr(model, call)(x, targets_for(model, 2), **options)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("call", ["predict", "evaluate", "activations"])
def test_an_op_without_a_kernel_is_named_with_its_layer(call):
    model = custom_net(misspelt)
    x = images(2, (3,))
    arguments = {
        "predict": (x,),
        "evaluate": (x, targets_for(model, 2)),
        "activations": (x, "custom"),
    }
    message = r"Layer 'custom': the op matmull has no kernel\. Unknown op 'matmull'\. Did you mean"
    with pytest.raises(ValueError, match=message):
        getattr(model, call)(*arguments[call])


PROBLEM = Problem(4, 4, 2, 2, (1, 1))
LACKING = {
    "a strategy": ("conv2d", {"problem": PROBLEM}, "the op conv2d needs the attribute 'strategy'"),
    "a problem": ("conv2d", {"strategy": "auto"}, "the op conv2d needs the attribute 'problem'"),
    "a Problem": (
        "conv2d",
        {"problem": (4, 4), "strategy": "auto"},
        r"the op conv2d needs a Problem .*'problem'. Received \(4, 4\)",
    ),
    "a strategy's name": (
        "conv2d",
        {"problem": PROBLEM, "strategy": "winnograd"},
        "Unknown strategy 'winnograd'. Did you mean 'winograd'",
    ),
    "a kernel": (
        "conv2d",
        {"problem": PROBLEM, "strategy": "auto"},
        "the op conv2d needs the parameter 'kernel'. Received none",
    ),
    "a pooling's problem": ("max_pool", {}, "the op max_pool.* needs the attribute 'problem'"),
    "a matrix": ("matmul", {}, "the op matmul needs the parameter 'kernel'"),
    "a rate": ("dropout", {"seed": 1}, "the op dropout needs the attribute 'rate'. Received seed"),
    "a scale": ("affine", {}, "the op affine needs the attribute '(scale|offset)'"),
}


@pytest.mark.parametrize("call", ["predict", "train_on_batch", "activations"])
@pytest.mark.parametrize("name", LACKING)
def test_an_op_that_lacks_something_is_named_with_its_layer(name, call):
    kind, attributes, message = LACKING[name]

    class Bare(Layer):
        def make_parameters(self, shape):
            weights = Parameter(self, "kernel", (1, 1, 2, 2), initializers.get("zeros"))
            return [weights] if "'kernel'" not in message else []

        def lower(self, program, x):
            parameters = self.named_parameters() if kind == "conv2d" else None
            return program.add(kind, [x], x.shape, parameters, **attributes)

    model = build((4, 4, 2), [L.Conv2D(2, 1), Bare(), L.Flatten(), L.Dense(2)])
    x = images(2, (4, 4, 2))
    arguments = {"predict": (x,), "activations": (x, "bare")}
    with pytest.raises((TypeError, ValueError), match=f"Layer 'bare': .*{message}"):
        getattr(model, call)(*arguments.get(call, (x, targets_for(model, 2))))


class Own(Layer):
    """A convolution by a strategy that is set once it is made."""

    asked = "im2col"

    def make_parameters(self, shape):
        return [Parameter(self, "kernel", (1, 1, 2, 2), initializers.get("glorot_uniform"))]

    def lower(self, program, x):
        kernel = self.named_parameters()
        return program.add("conv2d", [x], x.shape, kernel, problem=PROBLEM, strategy=self.asked)


def test_a_strategy_of_an_own_layer_may_be_a_name():
    model = build((4, 4, 2), [Own()])
    x = images(2, (4, 4, 2))
    expected = x @ model.parameters[0].value[0, 0]
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-6)


def test_pinning_passes_an_own_layer_that_names_its_strategy_and_refuses_one_that_leaves_it_open():
    for asked in ("im2col", {"forward": "im2col"}):
        model = build((4, 4, 2), [L.Conv2D(2, 1), Own()])
        model.layers[1]._assign(asked=asked)
        before = model.get_config()
        if asked == "im2col":
            model.pin_strategies()
            assert "auto" not in model.layers[0].strategy.values()
            continue
        with pytest.raises(ValueError, match="Own 'own': its strategies cannot be pinned"):
            model.pin_strategies()
        assert model.get_config() == before


@pytest.mark.parametrize("call", ["gradients", "predict"])
def test_an_unknown_activation_function_is_named_with_its_layer(call):
    def swish(program, x, parameters):
        return program.add("activation", [x], x.shape, parameters, function="sigmoids")

    def no_function(program, x, parameters):
        return program.add("activation", [x], x.shape)

    def lowered(program, x, parameters):
        return lower_activation(program, x, "sigmoids")

    for lower_by, name in ((swish, "sigmoids"), (no_function, "None"), (lowered, "sigmoids")):
        model = build((3,), [Custom(lower_by, trainable=False), L.Dense(2)])
        x = images(2, (3,))
        message = f"Layer 'custom'.*Unknown activation.* '{name}'.* Known: .*relu.*tanh"
        with pytest.raises(ValueError, match=message):
            getattr(model, call)(x, *([targets_for(model, 2)] if call == "gradients" else []))


class NoLossKernel(losses.Loss):
    pass


class NoUpdateKernel(optimizers.SGD):
    kernel = ""


@pytest.mark.parametrize(("own", "kind"), [(NoLossKernel, "loss"), (NoUpdateKernel, "update")])
def test_a_class_without_a_kernel_is_refused_when_it_is_made(own, kind):
    words = f"^{own.__name__}: its class must name one of fastcnn's {kind} kernels, kernel = "
    with pytest.raises(TypeError, match=words):
        own()


class MisspeltLoss(losses.Loss):
    kernel = "hinges"


class MisspeltOptimizer(optimizers.SGD):
    kernel = "momentums"


class LabelsForTargets(losses.Loss):
    kernel = "mean_squared_error"
    target = "sparse"


class TargetsForLabels(losses.Loss):
    kernel = "multiclass_hinge"


class WithoutSlots(optimizers.Adam):
    slots = ()


class SmallSlots(optimizers.Adam):
    def new_slots(self, size):
        return np.zeros((2, size - 1), np.float32)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (MisspeltLoss, r"MisspeltLoss: Unknown loss kernel 'hinges'\. Did you mean 'hinge'"),
        (MisspeltOptimizer, r"MisspeltOptimizer: Unknown update kernel 'momentums'\. Did you mean"),
        (LabelsForTargets, r"takes target = 'dense'\. Received 'sparse'"),
        (TargetsForLabels, r"'multiclass_hinge' takes target = 'sparse'\. Received 'dense'"),
        (WithoutSlots, r"WithoutSlots: its update kernel 'adam' works on 2 slots\. Received"),
        (SmallSlots, "broadcast"),
    ],
)
def test_a_kernel_that_does_not_fit_is_named_with_its_class(own, message):
    loss, optimizer = (own(), "sgd") if issubclass(own, losses.Loss) else ("mse", own())
    model = build((3,), [L.Dense(2)], loss=loss, optimizer=optimizer)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.train_on_batch(images(2, (3,)), targets_for(model, 2))
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_trace_ends_in_the_outputs_of_all_layers():
    layers = [L.Dropout(0.5), L.Residual([L.Conv2D(2, 1), L.ReLU()]), L.Flatten(), L.Dense(3)]
    model = build((2, 2, 2), layers)
    program = model.program(fused=False, traced=True)
    check_index(program)
    assert [*program.outputs_of] == [layer.path for layer in inside_first(model.layers)]
    assert program.output.shape == (8 + 8 + 8 + 8 + 8 + 3,)


def test_a_weight_that_is_not_finite_is_found_by_one_plan():
    layers = [L.Residual([L.Conv2D(2, 1), L.ReLU()]) for _ in range(40)]
    model = build((2, 2, 2), [*layers, L.Flatten(), L.Dense(2, name="last")])
    x, y = images(3, (2, 2, 2)), targets_for(model, 3)
    model.train_on_batch(x, y)
    engine, built = model.engine(), []
    engine._build = lambda *key, build=engine._build: built.append(key) or build(*key)
    model.layer("last").named_parameters()["kernel"].value[0] = np.nan
    with pytest.raises(fastcnn.NonFiniteError, match="last/kernel") as caught:
        model.train_on_batch(x, y)
    assert caught.value.layer == "last"
    assert built == [("trace", None, 1, False)]


def test_what_is_frozen_needs_no_rule():
    model = build((3,), [Custom(transposed, trainable=False), L.Dense(2)])
    x = images(4, (3,))
    y = targets_for(model, 4)
    kernel, dense, bias = (weights.astype(np.float64) for weights in model.get_weights())
    middle = x @ kernel.T
    error = 2 * (middle @ dense + bias - y) / y.size
    gradients = model.gradients(x, y)[1]
    assert sorted(gradients) == ["dense/bias", "dense/kernel"]
    np.testing.assert_allclose(gradients["dense/kernel"], middle.T @ error, rtol=1e-4, atol=1e-5)


def nested(depth: int) -> L.Layer:
    layer: L.Layer = L.ReLU()
    for _ in range(depth):
        layer = L.Residual([layer])
    return layer


def nested_config(depth: int) -> dict:
    entry = {"class_name": "ReLU", "config": {}}
    for _ in range(depth):
        entry = {"class_name": "Residual", "config": {"body": [entry]}}
    return entry


def test_the_deepest_layers_work_in_all_that_walks_through_them(tmp_path):
    model = build((2,), [nested(MOST_DEPTH), L.Dense(2)])
    x = images(3, (2,))
    model.train_on_batch(x, targets_for(model, 3))
    expected = model.predict(x)
    model.summary()
    model.save(tmp_path / "deep.h5")
    again = [fastcnn.load(tmp_path / "deep.h5"), copy.deepcopy(model)]
    again.append(pickle.loads(pickle.dumps(model)))
    for restored in again:
        np.testing.assert_array_equal(restored.predict(x), expected)


TOO_DEEP = f"layers may lie within each other {MOST_DEPTH} deep"


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 300, 5000])
def test_deeper_layers_are_refused(depth):
    with pytest.raises(ValueError, match=f"^Residual.*{TOO_DEEP}"):
        nested(depth)
    with pytest.raises(ValueError, match=f"^Residual.*{TOO_DEEP}"):
        L.from_config(nested_config(depth))


class Holder(Layer):
    """A user's own layer that holds another."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    @property
    def sublayers(self):
        return (self.inner,)

    def lower(self, program, x):
        return self.inner.lower(program, x)


def test_own_layers_too_deep_are_refused():
    layer = L.ReLU()
    for _ in range(2000):
        layer = Holder(layer)
    with pytest.raises(ValueError, match=TOO_DEEP):
        Sequential([layer], input_shape=(2,))


@pytest.mark.parametrize("depth", [MOST_DEPTH + 1, 200, 20_000])
def test_a_file_of_layers_too_deep_is_refused(tmp_path, monkeypatch, depth):
    model = build((2,), [L.ReLU(), L.Dense(2)])
    inner, whole = '{"class_name": "ReLU", "config": {}}', Sequential.get_config(model)
    body = '{"class_name": "Residual", "config": {"body": ['
    whole["layers"][0] = "DEEP"
    text = json.dumps(whole).replace('"DEEP"', body * depth + inner + "]}}" * depth)
    write = checkpoint._json
    monkeypatch.setattr(checkpoint, "_json", lambda v: text if "layers" in v else write(v))
    monkeypatch.setattr(checkpoint, "_check_loads", lambda model, contents, own: None)
    model.save(tmp_path / "deep.h5")
    with pytest.raises(FormatError, match=f"{TOO_DEEP}|lies too deep within itself"):
        fastcnn.load(tmp_path / "deep.h5")
