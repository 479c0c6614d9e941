"""The engine's memory on the GPU: what is said where there is too little, and who may read it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import fastcnn
from fastcnn import layers
from fastcnn.backends.cuda import memory
from fastcnn.backends.cuda.dataset_cache import DatasetCache
from fastcnn.backends.cuda.model_arrays import DeviceState
from fastcnn.kernels.cuda.runtime.device import cuda

X, Y = np.ones((4, 2, 2, 1), np.float32), np.zeros(4, np.int32)


def model() -> fastcnn.Sequential:
    stack = [layers.Flatten(), layers.Dense(3, "softmax")]
    made = fastcnn.Sequential(stack, (2, 2, 1), device="cuda")
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


def lacking(monkeypatch, what: str) -> None:
    """Have no memory for something."""
    there = memory._tried

    def tried(make, sentence):
        if what in sentence():
            raise MemoryError(sentence())
        return there(make, sentence)

    monkeypatch.setattr(memory, "_tried", tried)


@pytest.mark.parametrize(
    ("what", "said"),
    {
        "the weights": "are needed for the weights.",
        "the moving statistics": "are needed for the moving statistics.",
        "the gradients": "are needed for the gradients.",
        "the optimizer's slots": "are needed for the optimizer's slots.",
        "the table of an update": "a batch of 4 needs",
        "a program's constants": "a batch of 4 needs",
        "them for what goes to the GPU": "a batch of 4 needs",
        "what is between the layers": "a batch of 4 needs",
        "memory to be pinned": "of memory to be pinned for what goes to the GPU and back",
    }.items(),
)
def test_every_lack_of_memory_is_told(monkeypatch, what, said):
    lacking(monkeypatch, what)
    with pytest.raises(MemoryError, match=said):
        model().train_on_batch(X, Y)


def test_inputs_count_with_what_is_between_the_layers(monkeypatch):
    """A batch that would fit is one whose images fit too."""
    seen: list = []
    there = memory.batch

    def noted(images, extent):
        seen.append(extent)
        return there(images, extent)

    monkeypatch.setattr(memory, "batch", noted)
    model().train_on_batch(X, Y)
    whole, arena = seen
    each = 4 * 4 + 4  # four pixels and a label, of four bytes each
    assert all(whole(images) == arena(images) + images * each for images in (1, 4, 100))


def test_a_data_set_that_does_not_fit_stays_at_home(monkeypatch):
    lacking(monkeypatch, "a data set's images")
    assert not DatasetCache().hold(np.zeros((2, 2, 2, 1), np.uint8), anew=False)


def test_weights_are_not_fetched_during_a_run():
    made = model()
    made.train_on_batch(X, Y)
    made.state.come_home()
    device_state = DeviceState(made.state)
    device_state.settle()
    device_state.run(cuda.stream(), lambda: None, lambda: True)
    fetched = threading.Event()
    reader = threading.Thread(target=lambda: (made.state.come_home(), fetched.set()))
    with device_state.busy:
        reader.start()
        assert not fetched.wait(0.1)
    assert fetched.wait(10)
    reader.join()


def test_an_engine_that_takes_over_in_an_epoch_sees_the_images_as_they_are():
    """One whose images were held in another training, and have changed since."""

    def weights(before, x):
        made = fastcnn.Sequential(
            [layers.Flatten(), layers.Dense(2, "relu"), layers.Dense(3, "softmax")],
            (2, 2, 1),
            device="cuda",
        )
        made.compile("sgd", "sparse_categorical_crossentropy")
        made.fit(before, Y, batch_size=2, verbose=0)
        x[...] = np.random.default_rng(1).random(x.shape)
        made.freeze()
        thaw = fastcnn.callbacks.LambdaCallback(on_train_batch_end=lambda *_: made.unfreeze())
        made.fit(x, Y, batch_size=2, verbose=0, callbacks=thaw)
        return made.get_weights()

    x = X.copy()
    for one, other in zip(weights(x, x), weights(X, X.copy()), strict=True):
        np.testing.assert_array_equal(one, other)


def full_while(monkeypatch, sets: DatasetCache, least: int) -> None:
    """Have no memory between layers while so many data sets are held."""
    there = memory.device_array

    def device_array(shape, dtype, what):
        if what == "what is between the layers" and len(sets._images) > least:
            raise MemoryError("The GPU is full.")
        return there(shape, dtype, what)

    monkeypatch.setattr(memory, "device_array", device_array)


def test_a_data_set_that_is_held_makes_room_for_a_program(monkeypatch):
    """In the middle of a pass over it, whose batches are sent from then on."""
    made, same = model(), model()
    sets = made.engine().sets
    y = np.arange(4, dtype=np.int32) % 3
    same.fit(X, y, batch_size=2, epochs=2, verbose=0)
    full_while(monkeypatch, sets, 0)
    held: list[int] = []
    note = fastcnn.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_: held.append(len(sets._images))
    )
    made.fit(X, y, batch_size=2, epochs=2, callbacks=[note], verbose=0)
    assert held[0] == 0
    for one, other in zip(made.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_data_sets_that_are_gone_make_room_first():
    sets, kept = DatasetCache(), X.copy()
    gone = X.copy()
    assert sets.hold(kept, anew=False) and sets.hold(gone, anew=False)
    del gone
    assert sets.give_up() and sets.of(kept) is not None
    assert sets.give_up() and sets.of(kept) is None
    assert not sets.give_up()


def test_too_little_memory_without_data_sets_is_told(monkeypatch):
    made = model()
    full_while(monkeypatch, made.engine().sets, -1)
    with pytest.raises(MemoryError, match="The GPU is full"):
        made.train_on_batch(X, Y)


def test_slots_are_made_after_they_did_not_fit(monkeypatch):
    with monkeypatch.context() as full:
        made = model()
        lacking(full, "the optimizer's slots")
        with pytest.raises(MemoryError):
            made.train_on_batch(X, Y)
    made.train_on_batch(X, Y)
