"""Classes go by their names: sets that count them otherwise are never mixed up."""

from __future__ import annotations

import numpy as np
import pytest
from test_fit_augment import DENSE, Y, fit, net, same
from test_fit_augment import Named as Alphabetical

from fastcnn.data import class_labels

ORDER = [2, 0, 1]  # of the same classes in another set


class Otherwise(Alphabetical):
    """The same images, whose classes are counted as c, a, b."""

    labels = np.argsort(ORDER)[Y].astype(np.int32)
    class_names = ("c", "a", "b")


class Some(Alphabetical):
    """Those images alone that show c, as a set of this one class."""

    labels = np.zeros(8, np.int32)
    class_names = ("c",)

    def __len__(self):
        return len(self.labels)

    def images(self, indices, out):
        super().images(np.flatnonzero(Y == 2)[indices], out)


class Strange(Alphabetical):
    class_names = ("a", "zebra", "c")


def trained(source, **options):
    model = net()
    model.class_names = ["a", "b", "c"]
    history = fit(model, source, None, **options)
    return model, history.history


@pytest.fixture(scope="module")
def expected():
    return trained(Alphabetical(), epochs=2, validation_data=Alphabetical())


def test_fit_counts_classes_as_the_model_does(expected):
    model, history = trained(Otherwise(), epochs=2, validation_data=Alphabetical())
    assert same(model, expected[0]) and history == expected[1]


def test_validation_counts_classes_as_the_training_set_does(expected):
    model = net()
    history = fit(model, Alphabetical(), None, epochs=2, validation_data=Otherwise())
    assert history.history == expected[1] and model.class_names == ["a", "b", "c"]


def test_evaluate_counts_classes_as_the_model_does(expected):
    model = expected[0]
    assert model.evaluate(Otherwise()) == model.evaluate(Alphabetical())
    third = np.flatnonzero(Y == 2)
    pixels = np.empty((len(third), 8, 8, 3), np.uint8)
    Alphabetical().images(third, pixels)
    assert model.evaluate(Some()) == model.evaluate(pixels, np.full(len(third), 2))


def test_unknown_names_are_refused(expected):
    model = expected[0]
    words = r"does not know: zebra. It knows a, b, c. .* set model.class_names"
    for call in (
        lambda: model.evaluate(Strange()),
        lambda: fit(model, Strange(), None),
        lambda: fit(model, Alphabetical(), None, validation_data=Strange()),
        lambda: fit(net(), Alphabetical(), None, validation_data=Strange()),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_names_set_to_none_are_taught_anew():
    model = net()
    model.class_names = ["x", "y", "z"]
    with pytest.raises(ValueError, match=r"does not know: a, b, c"):
        fit(model, Alphabetical(), None)
    model.class_names = None
    fit(model, Alphabetical(), None)
    assert model.class_names == ["a", "b", "c"]


def test_dense_losses_get_rows_in_the_models_order():
    one, other = net(DENSE), net(DENSE)
    one.class_names = other.class_names = ["a", "b", "c"]
    fit(one, Otherwise(), None)
    fit(other, Alphabetical(), None)
    assert same(one, other)


def test_labels_of_every_kind_are_counted():
    names, known = ["c", "a"], ["a", "b", "c"]
    assert class_labels.counted([0, 1, 1], names, known, "x").tolist() == [2, 0, 0]
    whole = class_labels.counted(np.array([1.0, 0.0], np.float32), names, known, "x")
    assert whole.tolist() == [0, 2] and whole.dtype == np.float32
    many = [f"{number}" for number in range(300)]
    small = class_labels.counted(np.array([0, 1], np.uint8), ["299", "7"], many, "x")
    assert small.tolist() == [299, 7]
    assert class_labels.counted([[0], [0]], ["c"], known, "x").tolist() == [[2], [2]]
    rows = class_labels.counted([[0.25, 0.75]], names, known, "x")
    assert rows.tolist() == [[0.75, 0, 0.25]]


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0], [0.5, 1], [[0, 1, 0]], ["c", "a"]])
def test_labels_without_a_name_are_refused(labels):
    with pytest.raises(ValueError, match=r"x must have whole-number labels from 0 to 1"):
        class_labels.counted(labels, ["c", "a"], ["a", "b", "c"], "x")
