"""How the CPU engine runs a model: batch sizes, memory, threads, the update that ends a step."""

from __future__ import annotations

import numpy as np
import pytest
import reference_model
from building import assert_close, assert_gradients, build, images, targets_for
from test_training_step import NETS
from threads import predict_together

import fastcnn
from fastcnn import layers as L
from fastcnn import optimizers
from fastcnn.backends.cpu import engine, executable
from fastcnn.backends.cpu.executable import allocate
from fastcnn.kernels.call import BATCH, GLOBAL, Calls, Region
from fastcnn.kernels.cpu.runtime.kernel import kernel, record
from fastcnn.kernels.cpu.simd.pointers import fetch_add, load_atomic, record_at, relax
from fastcnn.kernels.shared.optimizers import UPDATE_KERNELS

LOSS = "sparse_categorical_crossentropy"


@pytest.fixture(autouse=True)
def usual_threads():
    fastcnn.set_num_threads(2)
    yield
    fastcnn.set_num_threads(2)


def small(first=3):
    return [
        *[L.Conv2D(6, first, padding="same"), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D()],
        *[L.Flatten(), L.Dense(20, activation="relu"), L.Dense(5), L.Softmax()],
    ]


@pytest.mark.parametrize("batch", [*range(1, 20), 31, 32, 33, 64, 127, 128, 129])
def test_every_batch_size(batch):
    model = build((6, 6, 3), small(), LOSS)
    x, y = images(batch, (6, 6, 3)), targets_for(model, batch)
    assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
    assert_gradients(model.gradients(x, y)[1], reference_model.gradients(model, x, y)[1], "chain")


def test_batch_size_may_change_from_step_to_step():
    model = build((6, 6, 3), small(), LOSS)
    for batch in (3, 40, 1, 17, 40, 2):
        x, y = images(batch, (6, 6, 3), seed=batch), targets_for(model, batch)
        expected = reference_model.gradients(model, x, y)[1]
        assert_gradients(model.gradients(x, y)[1], expected, "statistics")
        assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")
        model.train_on_batch(x, y)


@pytest.mark.parametrize("name", NETS)
def test_memory_is_written_before_it_is_read(name, monkeypatch):
    """An engine whose memory begins as NaN computes the same."""
    shape, layers = NETS[name]
    plain, filled = (build(shape, layers(), LOSS) for _ in range(2))
    x, y = images(11, shape), targets_for(plain, 11)
    outputs, (loss, gradients) = plain.predict(x), plain.gradients(x, y)

    def not_a_number(size):
        memory = allocate(size)
        memory[: size // 4 * 4].view(np.float32)[:] = np.nan
        return memory

    for module in (executable, engine):
        monkeypatch.setattr(module, "allocate", not_a_number)
    np.testing.assert_array_equal(filled.predict(x), outputs)
    again, same = filled.gradients(x, y)
    assert again == loss
    for path, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, same[path])


@pytest.mark.parametrize("batch", [1, 9])
def test_weights_may_be_written_at_any_time(batch):
    """Nothing prepared from the weights, a folded normalization say, outlives a change of them."""
    model = build((6, 6, 3), small(), LOSS)
    held = {p.path: p.value for p in model.parameters}
    x = images(batch, (6, 6, 3))
    changes = [
        lambda: held["conv2d/kernel"].fill(0.25),
        lambda: held["batch_normalization/moving_mean"].__setitem__(slice(None), 0.5),
        lambda: held.clear(),
        lambda: model.layer("dense").parameters[0].value[:5].fill(-0.5),
        lambda: model.set_weights([w * 1.5 for w in model.get_weights()]),
        lambda: model.train_on_batch(x, targets_for(model, batch)),
        lambda: model.gradients(x, targets_for(model, batch)),
    ]
    for change in changes:
        change()
        for _ in range(2):
            assert_close(model.predict(x), reference_model.forward(model, x), "chain", "output")


LARGE = {  # products large enough to be shared out over the whole batch, or over one image
    "dense first": ((432,), lambda: [L.Dense(512, activation="relu"), *dense_end()]),
    "dense after flattening": ((12, 12, 3), lambda: [L.Flatten(), L.Dense(512), *dense_end()]),
    "convolution first": ((28, 28, 16), lambda: [L.Conv2D(64, 3), L.ReLU(), L.MaxPooling2D(4)]),
    "small": ((6, 6, 3), small),
}


def dense_end():
    return [L.BatchNormalization(), L.Dense(10)]


@pytest.mark.parametrize("batch", [1, 2, 9])
@pytest.mark.parametrize("name", LARGE)
def test_other_images_with_the_same_weights(name, batch):
    """What is prepared from the weights is kept from call to call, what is of the images is not."""
    shape, layers = LARGE[name]
    model = build(shape, layers())
    given = [images(batch, shape, seed=seed) for seed in range(3)]
    expected = [reference_model.forward(model, x) for x in given]  # reads the weights: so first
    for number in (0, 0, 1, 2, 0):
        outputs = model.predict(given[number])
        assert_close(outputs, expected[number], "chain", f"images {number}")


def test_two_models_take_turns_and_share_threads():
    """From two Python threads at once, each gets its own model's numbers."""
    models = [build((6, 6, 3), small(first), LOSS, seed=first) for first in (1, 3)]
    predict_together(models, images(33, (6, 6, 3)))


@kernel(record("met", "parts"))
def meet(pointer):
    """Count those who came, and note whether two were there at once; give up after a while."""
    met = record_at(pointer).met
    fetch_add(met, 1)
    for _ in range(1 << 28):
        if load_atomic(met) >= 2:
            fetch_add(met + 8, 1)
            return
        relax()


def test_the_executor_runs_in_parallel():
    """Two parts of one call wait for each other: one after the other, they would never meet."""
    met = Region(16, GLOBAL)
    calls = Calls(images=4)
    calls.emit(meet, BATCH, "met", {"met": met}, parts=2)
    ready = executable.Executable(calls.emitted, 4)
    ready.give(x=np.zeros((4, 1), np.float32))
    ready.run(4, 0)
    count, seen = ready.memory["global"][:16].view(np.int64)
    assert (count, seen) == (2, 2)


UPDATES = {
    "sgd": optimizers.SGD(0.1),
    "momentum": optimizers.SGD(0.1, momentum=0.9),
    "nesterov, decay": optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": optimizers.Adam(0.01),
    "adamw": optimizers.AdamW(0.01, weight_decay=0.02),
    "rmsprop": optimizers.RMSprop(0.01),
    "rmsprop, all": optimizers.RMSprop(0.01, momentum=0.9, centered=True),
    "adagrad": optimizers.Adagrad(0.1),
    "clipvalue": optimizers.SGD(0.1, clipvalue=0.01),
    "clipnorm": optimizers.SGD(0.1, clipnorm=0.05),
    "global_clipnorm": optimizers.Adam(0.01, global_clipnorm=0.1),
    "global_clipnorm, too large to clip": optimizers.Adam(0.01, global_clipnorm=1e3),
}


def clipped(gradients, optimizer):
    """Keras's clipping of {path: gradient}, in float64."""
    norms = {path: np.sqrt((g.astype(np.float64) ** 2).sum()) for path, g in gradients.items()}
    whole = np.sqrt(sum(norm**2 for norm in norms.values()))
    factors = dict.fromkeys(gradients, 1.0)
    if optimizer.clipnorm:
        factors = {p: optimizer.clipnorm / max(n, optimizer.clipnorm) for p, n in norms.items()}
    if optimizer.global_clipnorm:
        limit = optimizer.global_clipnorm
        factors = dict.fromkeys(gradients, limit / max(whole, limit))
    bound = optimizer.clipvalue or np.inf
    return {p: np.clip(g * np.float32(factors[p]), -bound, bound) for p, g in gradients.items()}


@pytest.mark.parametrize("name", UPDATES)
def test_update_that_ends_a_step(name):
    """Three steps of the engine against clipping and the update's Python function in NumPy."""
    optimizer = UPDATES[name]
    layers = [
        L.Conv2D(5, 3, use_bias=False, kernel_regularizer="l2"),
        *[L.BatchNormalization(), L.Flatten(), L.Dense(300, activation="relu"), L.Dense(3)],
    ]
    layers[-1].trainable = False  # what is frozen takes part in nothing
    model = build((12, 12, 2), layers, "mse", optimizer)
    x, y = images(6, (12, 12, 2)), targets_for(model, 6)
    slots = {p.path: optimizer.new_slots(p.size) for p in model.parameters}
    expected = {p.path: p.value.copy() for p in model.parameters}
    for step in range(3):
        gradients = clipped(model.gradients(x, y)[1], optimizer)
        for path, gradient in gradients.items():
            update = UPDATE_KERNELS[optimizer.kernel]
            values = expected[path].reshape(-1)
            update(values, gradient.astype(np.float32).ravel(), slots[path], optimizer.hyper(step))
        model.train_on_batch(x, y)
        for p in model.parameters:
            if p.kind == "weight":
                assert_close(p.value, expected[p.path], "sum", f"{p.path} at step {step}")
            expected[p.path] = p.value.copy()
            for slot, own in zip(model.state.slots, slots[p.path], strict=True):
                if p.kind == "weight":
                    own[:] = slot[p.offset : p.offset + p.size]
    assert model.state.step == 3
