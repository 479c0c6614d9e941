"""The same call gives the same bits, whatever came before it: other batches, saving and loading."""

from __future__ import annotations

import numpy as np
import pytest
from building import build, images, targets_for

import fastcnn
from fastcnn import data, optimizers
from fastcnn import layers as L
from fastcnn.backends.engine import MOST_PLANS, TRAIN
from fastcnn.kernels.cpu.conv import STRATEGIES

SHAPE = (12, 12, 3)
LOSS = "sparse_categorical_crossentropy"
# Sizes at which the plans differ: what is summed over the batch at once, in how many parts.
SMALL, LARGE = 5, 150


def net(strategy="auto"):
    return [
        L.Conv2D(8, 3, padding="same", strategy=strategy),
        L.BatchNormalization(),
        L.ReLU(),
        L.Conv2D(24, 3, strategy=strategy, activation="relu"),
        L.MaxPooling2D(2),
        L.Conv2D(32, 5, activation="relu"),  # one pixel
        L.Flatten(),
        L.Dropout(0.25),
        L.Dense(512, activation="relu"),
        L.Dense(10, activation="softmax"),
    ]


def results(model, call, images_of_it=SMALL):
    """What a call gives, and the weights after it."""
    x, y = images(images_of_it, SHAPE), targets_for(model, images_of_it)
    given = {
        "predict": lambda: model.predict(x),
        "predict in batches": lambda: model.predict(x, batch_size=3),
        "activations": lambda: model.activations(x, "dense"),
        "gradients": lambda: model.gradients(x, y),
        "evaluate": lambda: model.evaluate(x, y, batch_size=3),
        "test_on_batch": lambda: model.test_on_batch(x, y),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "fit": lambda: model.fit(x, y, batch_size=3, verbose=0).history["loss"],
    }[call]()
    numbers = given[1].values() if call == "gradients" else [np.array(given)]
    return [*numbers, *model.get_weights(), model.state.slots.copy()]


def same(one, other):
    for number, (a, b) in enumerate(zip(one, other, strict=True)):
        np.testing.assert_array_equal(a, b, f"array {number}")


CALLS = ["predict", "predict in batches", "activations", "gradients", "evaluate"]
CALLS += ["test_on_batch", "train_on_batch", "fit"]


@pytest.mark.parametrize("strategy", ["auto", *STRATEGIES])
def test_what_a_larger_batch_leaves_behind(strategy):
    fresh, used = (build(SHAPE, net(strategy), LOSS, optimizers.Adam(1e-3)) for _ in range(2))
    start = used.state.snapshot()
    x, y = images(LARGE, SHAPE, seed=3), targets_for(used, LARGE)
    used.predict(x, batch_size=LARGE)
    used.test_on_batch(x, y)
    used.gradients(x, y)
    for call in CALLS:
        for model in (fresh, used):
            model.state.restore(start)
        fresh.plan_anew()
        same(results(fresh, call), results(used, call))


def test_a_partial_last_batch_takes_no_plan_of_its_own():
    model = build(SHAPE, net(), LOSS)
    x, y = images(20, SHAPE), targets_for(model, 20)
    model.fit(x, y, batch_size=8, verbose=0, validation_data=(x, y))
    assert sorted(model.engine()._planned) == [("test", None, 8), ("train", None, 8)]


def test_plans_of_other_sizes_share_the_memory_of_the_largest():
    model = build(SHAPE, net(), LOSS)
    for count in (9, 30, 4, 12, 30):
        model.train_on_batch(images(count, SHAPE), targets_for(model, count))
    plans = model.engine()._planned
    assert [size for *_, size in plans] == [4, 12, 30]
    memories = {id(one.executable.memory["batch"]) for one in plans.values()}
    assert len(memories) == 1


def test_plans_are_few():
    model = build((4,), [L.Dense(3)], "mse")
    for count in range(MOST_PLANS + 4, 0, -1):
        model.train_on_batch(images(count, (4,)), targets_for(model, count))
        model.test_on_batch(images(count, (4,)), targets_for(model, count))
    kinds = [kind for kind, *_ in model.engine()._planned]
    assert kinds.count(TRAIN) == MOST_PLANS and len(kinds) == 2 * MOST_PLANS


def test_activations_are_planned_once_for_a_layer(monkeypatch):
    model = build((4,), [L.Dense(3, name=f"layer{i}") for i in range(MOST_PLANS + 2)], "mse")
    x = images(5, (4,))
    expected = {layer.name: model.activations(x, layer) for layer in model.layers}
    built = []
    engine = model.engine()
    build_plan = engine._build
    monkeypatch.setattr(
        engine, "_build", lambda *key: built.append(key) or build_plan(*key), raising=True
    )
    last = [layer.name for layer in model.layers[-MOST_PLANS:]]
    for name in last:
        np.testing.assert_array_equal(model.activations(x, name), expected[name])
    assert not built
    model.set_weights([2 * weights for weights in model.get_weights()])
    doubled = model.activations(x, last[0])
    assert not built and np.abs(doubled - expected[last[0]]).max() > 0.1
    model.plan_anew()
    np.testing.assert_array_equal(model.activations(x, last[0]), doubled)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01),
    "momentum": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(1e-3, clipnorm=1.0),
    "adamw": lambda: optimizers.AdamW(1e-3),
    "rmsprop": lambda: optimizers.RMSprop(1e-3),
    "adagrad": lambda: optimizers.Adagrad(1e-2),
    "schedule": lambda: optimizers.Adam(fastcnn.schedules.CosineDecay(1e-3, 20)),
}


@pytest.mark.parametrize("between", ["fit", "evaluated"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_going_on_is_save_load_and_going_on(optimizer, between, tmp_path):
    """In the process, its plans made, or in a new model that begins from the file."""
    model = build(SHAPE, net(), LOSS, OPTIMIZERS[optimizer]())
    x, y = images(45, SHAPE), targets_for(model, 45)
    augment = [data.RandomFlip(), data.RandomTranslation(0.1, 0.1)]

    def fit(model, first, batch_size=16):
        model.fit(
            *(x, y),
            batch_size=batch_size,
            epochs=first + 1,
            initial_epoch=first,
            augment=augment,
            validation_split=0.1,
            verbose=0,
        )

    if between == "evaluated":
        model.evaluate(x, y, batch_size=45)
        model.gradients(x, y)
        fit(model, 0, batch_size=40)
    else:
        fit(model, 0)
    path = tmp_path / "model.h5"
    model.save(path)
    loaded = fastcnn.load(path)
    for going_on in (model, loaded):
        fit(going_on, 1)
        going_on.train_on_batch(x[:7], y[:7])
    same(model.get_weights(), loaded.get_weights())
    np.testing.assert_array_equal(model.state.slots, loaded.state.slots)
    assert model.state.step == loaded.state.step
    same([model.predict(x)], [loaded.predict(x)])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gives_the_same_for_any_threads(strategy):
    found = []
    try:
        for threads in (1, 2, 3):
            fastcnn.set_num_threads(threads)
            model = build(SHAPE, net(strategy), LOSS, optimizers.Adam(1e-3))
            found.append([*results(model, "predict", 19), *results(model, "train_on_batch", 19)])
    finally:
        fastcnn.set_num_threads(2)
    for other in found[1:]:
        same(found[0], other)
