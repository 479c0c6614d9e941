"""A family's networks are functions like any other."""

from __future__ import annotations

import inspect
import pickle
import typing

import pytest

from fastcnn import applications
from fastcnn.applications.network import NetworkOptions, Shape

VARIANTS = [
    name for name, function in applications.NETWORKS.items() if hasattr(function, "__wrapped__")
]


def test_families_have_variants():
    assert {"plain34", "resnet50", "resnet110", "vgg16", "squeezenet1-1"} <= set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_a_function_of_its_module(name):
    function = applications.NETWORKS[name]
    assert function.__qualname__ == function.__name__ == name.replace("-", "_")
    assert getattr(inspect.getmodule(function), function.__name__) is function
    assert pickle.loads(pickle.dumps(function)) is function


def test_a_variant_has_the_arguments_of_its_family_but_its_name_and_design():
    parameters = inspect.signature(applications.resnet50).parameters
    assert list(parameters) == ["input_shape", "classes", "version", "small_input", "options"]
    assert parameters["version"].default == "v1.5"
    hints = typing.get_type_hints(applications.resnet50)
    assert list(hints) == [*parameters, "return"]
    assert hints["input_shape"] == Shape
    assert typing.get_args(hints["options"]) == (NetworkOptions,)


def test_a_variant_has_the_docstring_of_its_family_with_its_own_summary():
    first, *rest = applications.vgg16.__doc__.split("\n\n")
    assert first == "VGG-16, configuration D: 138,357,544 parameters."
    assert rest == applications.vgg11.__doc__.split("\n\n")[1:]


def test_a_call_that_does_not_fit_names_the_variant():
    with pytest.raises(TypeError, match=r"resnet20\(\): too many positional arguments"):
        applications.resnet20((8, 8, 3), 10, "A", "keras", 4)
    with pytest.raises(TypeError, match=r"vgg11\(\): multiple values for argument 'classes'"):
        applications.vgg11((32, 32, 3), 10, classes=10)


def test_a_variant_takes_a_name_among_its_options():
    assert applications.resnet20((8, 8, 3), name="mine").name == "mine"
