"""A user's own layer that leaves something out or returns something else is told so in words."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential, initializers
from fastcnn import layers as L
from fastcnn.data.augment.mixing import Mixing
from fastcnn.graph.program import Program
from fastcnn.layers.base import Layer, Parameter
from fastcnn.layers.rescaling import _Affine

ZEROS = initializers.get("zeros")


class Own(Layer):
    """A layer whose methods return what a test wants."""

    def __init__(self, shape=None, parameters=(), lower=None, **common):
        super().__init__(**common)
        self._shape, self._parameters, self._lower = shape, parameters, lower

    def shape_after(self, shape):
        return shape if self._shape is None else self._shape

    def make_parameters(self, shape):
        return self._parameters(self) if callable(self._parameters) else self._parameters

    def lower(self, program, x):
        return x if self._lower is None else self._lower(program, x)


def built(layer):
    return Sequential([L.ReLU(), layer], input_shape=(4, 4, 2))


def test_a_layer_without_lower():
    class Doubled(Layer):
        pass

    words = r"^Doubled 'doubled': its class must define lower\(self, program, x\), .* See help\("
    with pytest.raises(TypeError, match=words):
        Doubled()
    with pytest.raises(TypeError, match=words.replace("'doubled'", "'inner'")):
        Doubled(name="inner")


def test_a_constructor_that_leaves_out_its_base_class():
    class Forgetful(Layer):
        def __init__(self, factor):
            self.factor = factor

    class Derived(Forgetful):
        def __init__(self):
            super().__init__(2)

    for make in (lambda: Forgetful(2), Derived):
        with pytest.raises(TypeError, match=r"its __init__ must call super\(\).__init__"):
            make()


@pytest.mark.parametrize("wrap", [lambda layer: layer, lambda layer: L.Residual([layer])])
def test_a_build_that_leaves_out_its_base_class(wrap):
    class Unbuilt(Own):
        def build(self, input_shape, prefix=""):
            self.input_shape = self.output_shape = input_shape

    with pytest.raises(TypeError, match=r"^Unbuilt 'unbuilt': its build must call super\(\)"):
        built(wrap(Unbuilt()))


@pytest.mark.parametrize("shape", [(), (4, 4, 0), (4, -4, 2), (4, 4, 2.0), (True, 4), 32, "442"])
def test_a_shape_that_is_none(shape):
    words = r"^Own 'own': shape_after\(\(4, 4, 2\)\) must return .* positive whole numbers"
    with pytest.raises(TypeError, match=words) as refused:
        built(Own(shape=shape))
    assert f"Received {shape!r}." in str(refused.value)


def test_a_shape_of_other_whole_numbers_is_taken_as_plain_ones():
    shape = built(Own(shape=[np.int64(4), 4, 2])).output_shape
    assert shape == (4, 4, 2) and {type(n) for n in shape} == {int}


@pytest.mark.parametrize("parameters", [lambda own: None, lambda own: [np.zeros(3)], {"w": 1}, 3])
def test_parameters_that_are_none(parameters):
    words = r"^Own 'own': make_parameters\(\(4, 4, 2\)\) must return a list of Parameters"
    with pytest.raises(TypeError, match=words):
        built(Own(parameters=parameters))


def test_two_parameters_of_one_name():
    def twins(own):
        return [Parameter(own, name, (2,), ZEROS) for name in ("scale", "shift", "scale")]

    with pytest.raises(ValueError, match=r"^Own 'own': make_parameters.* two parameters 'scale'"):
        built(Own(parameters=twins))


LOWERED = {
    "None": (lambda program, x: None, TypeError, "Received None"),
    "an array": (lambda program, x: np.zeros(3), TypeError, "as program.add does"),
    "another program's buffer": (
        lambda program, x: Program((4, 4, 2), training=False).input,
        ValueError,
        "Received another program's",
    ),
    "a buffer that nothing writes": (
        lambda program, x: program.buffer(x.shape),
        ValueError,
        r"Received %\d+, which no op",
    ),
    "another shape": (
        lambda program, x: program.add("reshape", [x], (32,)),
        ValueError,
        r"float32 \(4, 4, 2\) an image, as shape_after says. Received float32 \(32,\) an image",
    ),
}


@pytest.mark.parametrize("case", LOWERED)
@pytest.mark.parametrize("training", [False, True])
def test_an_output_that_is_none(case, training):
    lower, error, words = LOWERED[case]
    model = built(L.Residual([Own(lower=lower)]))
    with pytest.raises(error, match=rf"^Own 'own': lower\(program, x\) must return .*{words}"):
        model.program(training=training)


def test_an_own_layer_that_is_right():
    def doubled(program, x):
        return program.add("add", [x, x], x.shape)

    x = np.random.default_rng(0).standard_normal((3, 4, 4, 2)).astype(np.float32)
    assert np.array_equal(built(Own(lower=doubled)).predict(x), 2 * np.maximum(x, 0))


def test_other_base_classes_name_what_they_lack():
    class Shifted(_Affine):
        pass

    class Half(Mixing):
        pass

    with pytest.raises(TypeError, match=r"^Shifted 'shifted': its class must define constants\("):
        Shifted()
    with pytest.raises(TypeError, match=r"^Half: its class must define mix\(self, images, "):
        Half()
