"""What is nearly a source of images is taken as what it is, or refused with what it lacks."""

from __future__ import annotations

import numpy as np
import pytest
from test_class_names import Otherwise
from test_fit_augment import X, Y, fit, net, same

FLOATS = X.astype(np.float32)


class Unlabelled:
    dtype = np.uint8

    def __len__(self):
        return len(X)

    def images(self, indices, out):
        out[...] = X[indices]


class Batches:
    """An iterable as PyTorch's IterableDataset: it has __getitem__, which only raises."""

    def __init__(self, batches):
        self.batches = batches

    def __getitem__(self, index):
        raise NotImplementedError

    def __iter__(self):
        return iter(self.batches)


class Counted(Batches):
    def __len__(self):
        return len(self.batches)


class Items:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def halves():
    return [(X[:12], Y[:12]), (X[12:], Y[12:])]


def test_predict_needs_no_labels():
    model = net()
    assert np.array_equal(model.predict(Unlabelled()), model.predict(X))


@pytest.mark.parametrize("call", [lambda x: fit(net(), x, None), lambda x: net().evaluate(x)])
def test_a_missing_member_is_named(call):
    with pytest.raises(TypeError, match=r"x must have an attribute `labels`.*Unlabelled without"):
        call(Unlabelled())
    endless = type("Endless", (), {"labels": Y, "images": Unlabelled.images})()
    with pytest.raises(TypeError, match=r"x must be an array or a Dataset.*without __len__\."):
        call(endless)
    blind = type("Blind", (), {"labels": Y, "__len__": Unlabelled.__len__})()
    with pytest.raises(TypeError, match=r"Received Blind without images\."):
        call(blind)


@pytest.mark.parametrize("kind", [Batches, Counted])
def test_an_iterable_that_only_looks_map_style_is_gone_through(kind):
    model, expected = net(), net()
    fit(model, kind(halves()), None)
    fit(expected, X, Y, batch_size=12, shuffle=False)
    assert same(model, expected)


def test_a_map_style_set_that_is_not_implemented_raises_as_it_does():
    class Empty(Items):
        def __getitem__(self, index):
            raise NotImplementedError("item")

    with pytest.raises(NotImplementedError, match=r"item"):
        net().predict(Empty([1]))


@pytest.mark.parametrize("kind", [Batches, Counted])
@pytest.mark.parametrize("label", [1, np.int64(1), np.array(1)])
def test_an_iterable_of_single_images_is_told_to_make_batches(kind, label):
    with pytest.raises(ValueError, match=r"batch 0 must hold several.*\(8, 8, 3\).*DataLoader"):
        fit(net(), kind([(X[0], label)]), None)
    with pytest.raises(ValueError, match=r"batch 0 must hold several"):
        net().predict(kind([X[0], X[1]]))


def test_lists_of_batches_are_told_what_is_taken():
    for batches in (halves(), tuple(map(list, halves()))):
        with pytest.raises(TypeError, match=r"__iter__ gives the batches anew.*of 2 batches; join"):
            fit(net(), batches, None)


def test_items_that_are_dicts_are_refused_with_their_keys():
    words = r"x: the item at position 0 must be \(image, label\). Received a dict.*image, label"
    with pytest.raises(TypeError, match=words):
        fit(net(), Items([{"image": X[0], "label": 1}]), None)
    words = r"batch 0 must be \(x, y\), .* dict with the keys image"
    with pytest.raises(TypeError, match=words):
        fit(net(), Batches([{"image": X}]), None)


def test_a_generator_is_refused_with_what_would_do():
    words = r"must be an object whose __iter__ begins anew each epoch.*only once, for 2 epochs"
    with pytest.raises(ValueError, match=words):
        fit(net(), (batch for batch in halves()), None, epochs=2)


class Loader(Batches):
    """Batches of a data set that names its classes."""

    def __init__(self, labels, names):
        super().__init__([(X, labels)])
        self.dataset = type("Set", (), {"classes": names})


def test_the_classes_of_iterables_are_counted_by_their_names():
    right, other = Loader(Y, ["a", "b", "c"]), Loader(Otherwise.labels, Otherwise.class_names)
    one, expected = net(), net()
    fit(expected, right, None)
    assert expected.class_names == ["a", "b", "c"]
    one.class_names = ["a", "b", "c"]
    history = fit(one, other, None, validation_data=other)
    assert same(one, expected)
    assert history.history["val_loss"] == [expected.evaluate(right)[0]]
    assert one.evaluate(other) == expected.evaluate(right)
    with pytest.raises(ValueError, match=r"does not know: zebra"):
        one.evaluate(Loader(Y, ["a", "b", "zebra"]))
    transformed = Items([(X[0], 2)])
    transformed.classes, transformed.target_transform = ["a", "b"], abs
    fit(one, transformed, None)  # its labels are others than its classes
