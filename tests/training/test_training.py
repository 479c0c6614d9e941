"""The fit loop, evaluate and predict, on a stand-in model that counts what it is given."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fake_model import FakeModel, NonFiniteError, toy

from fastcnn import optimizers, schedules
from fastcnn.callbacks import Callback, LambdaCallback
from fastcnn.data import Batches
from fastcnn.data.folder.splitting import split_source
from fastcnn.training.epoch_iterator import shuffled
from fastcnn.training.trainer import Trainer


def fit(model, *arrays, **options):
    return Trainer.fit(model, *(arrays or toy()), **{"verbose": 0, **options})


def numbers(seen):
    return [round(value * 100) for value in seen]


def test_learns_and_records():
    model = FakeModel()
    history = fit(model, epochs=20, batch_size=8, validation_data=toy(15, seed=1))
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch == list(range(20))
    assert all(len(values) == 20 for values in history.history.values())
    assert len(history.seconds) == len(history.images_per_second) == 20
    assert history.history["loss"][0] == pytest.approx(np.log(3), rel=0.2)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] == 1.0
    assert model.epoch == 20 and not history.interrupted
    assert model.engine().sizes[:4] == [8, 8, 8, 6]


def test_each_epoch_visits_every_image_once_in_an_order_of_its_own():
    model = FakeModel()
    fit(model, epochs=2, batch_size=7)
    seen = numbers(model.engine().seen)
    assert sorted(seen[:30]) == sorted(seen[30:]) == list(range(30))
    assert seen[:30] != seen[30:] and seen[:30] != list(range(30))


def test_without_shuffle_images_come_in_order():
    model = FakeModel()
    fit(model, shuffle=False)
    assert numbers(model.engine().seen) == list(range(30))


def test_order_depends_on_seed_and_epoch_alone():
    orders = [shuffled(seed, epoch, 50).tolist() for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert shuffled(1, 1, 50).tolist() == orders[3]
    # Fixed for ever: files made by older versions must resume the same way.
    assert shuffled(3, 2, 8).tolist() == [2, 4, 1, 3, 6, 5, 0, 7]


def test_negative_and_huge_seeds_shuffle():
    assert all(
        sorted(shuffled(seed, 0, 9)) == list(range(9)) for seed in (-1, 2**70 + 1, np.int64(-5))
    )


def test_resume_gives_the_same_bits():
    whole, parts = FakeModel(), FakeModel()
    one = fit(whole, epochs=5, batch_size=4)
    fit(parts, epochs=2, batch_size=4)
    two = fit(parts, epochs=5, batch_size=4, initial_epoch=parts.epoch)
    assert np.array_equal(whole.weights, parts.weights)
    assert two.epoch == [2, 3, 4]
    assert one.history["loss"][2:] == two.history["loss"]


def test_initial_epoch_at_the_end_does_nothing():
    model = FakeModel()
    assert fit(model, epochs=3, initial_epoch=3).epoch == []
    assert not model.engine().sizes


def test_validation_split_takes_the_last_fraction():
    model = FakeModel()
    x, y = toy(30)
    history = fit(model, x, y, validation_split=0.2)
    assert sorted(numbers(model.engine().seen)) == list(range(24))
    expected = Trainer.evaluate(model, x[24:], y[24:], return_dict=True)
    assert history.history["val_loss"] == [expected["loss"]]


def test_validation_data_comes_before_validation_split():
    model = FakeModel()
    fit(model, validation_data=toy(6), validation_split=0.5)
    assert len(model.engine().seen) == 30


def test_validation_weights_count():
    model = FakeModel()
    x, y = toy(30)
    weight = (y == 0).astype(np.float32)
    history = fit(model, validation_data=(x, y, weight))
    plain = Trainer.evaluate(model, x[y == 0], y[y == 0], return_dict=True)
    assert history.history["val_loss"][0] == pytest.approx(plain["loss"] * 10 / 30, rel=1e-5)


def test_class_weight_and_sample_weight_multiply():
    by_class, by_hand = FakeModel(), FakeModel()
    x, y = toy()
    sample = np.linspace(0.5, 1.5, 30)
    fit(by_class, x, y, class_weight={1: 3.0}, sample_weight=sample)
    fit(by_hand, x, y, sample_weight=sample * np.where(y == 1, 3.0, 1.0))
    assert np.allclose(by_class.weights, by_hand.weights, rtol=1e-5)
    assert not np.array_equal(by_class.weights, FakeModel().weights)


def test_class_weight_of_one_hot_targets():
    sparse, dense = FakeModel(), FakeModel("categorical_crossentropy")
    x, y = toy()
    fit(sparse, x, y, class_weight={2: 0.25})
    fit(dense, x, np.eye(3)[y], class_weight={2: 0.25})
    assert np.array_equal(sparse.weights, dense.weights)


def test_loss_is_the_weighted_mean_plus_the_penalty():
    model = FakeModel()
    model.penalty = 0.125
    x, y = toy()
    weight = np.linspace(0, 2, 30).astype(np.float32)
    losses = [Trainer.test_on_batch(model, x[i : i + 1], y[i : i + 1])[0] for i in range(30)]
    expected = np.mean(weight * (np.array(losses) - 0.125)) + 0.125
    found = Trainer.evaluate(model, x, y, sample_weight=weight, batch_size=7)[0]
    assert found == pytest.approx(expected, rel=1e-6)


def test_history_does_not_depend_on_how_often_logs_were_read():
    class Reader(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.logs = dict(logs)

    reader = Reader()
    read, unread = FakeModel(), FakeModel()
    one = fit(read, *toy(301), batch_size=3, epochs=2, callbacks=[reader])
    two = fit(unread, *toy(301), batch_size=3, epochs=2)
    assert one.history == two.history
    assert reader.logs["loss"] == pytest.approx(one.history["loss"][-1])


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (0.5, None),
        (schedules.ExponentialDecay(0.5, 4, 0.5, staircase=True), [0.5, 0.25]),
    ],
)
def test_learning_rate_of_a_schedule_is_recorded(rate, expected):
    model = FakeModel()
    model.optimizer = optimizers.SGD(rate)
    history = fit(model, epochs=2, batch_size=8)
    assert history.history.get("learning_rate") == expected


class Images:
    """A Dataset of the toy images."""

    def __init__(self, count):
        self.x, self.labels = toy(count)

    def __len__(self):
        return len(self.x)

    def images(self, indices, out):
        out[...] = self.x[indices]


def test_a_dataset_trains_like_its_arrays():
    arrays, dataset = FakeModel(), FakeModel()
    data = Images(30)
    train, held = split_source(data, data.labels, 0.2, arrays.seed)
    kept = (data.x[held], data.labels[held])
    one = fit(arrays, data.x[train], data.labels[train], epochs=2, validation_data=kept)
    two = fit(dataset, data, epochs=2, validation_split=0.2)
    three = fit(FakeModel(), data, epochs=2, validation_data=Images(10))
    assert np.array_equal(arrays.weights, dataset.weights)
    assert one.history == two.history
    assert "val_loss" in three.history
    assert Trainer.evaluate(arrays, data) == Trainer.evaluate(arrays, data.x, data.labels)
    assert np.array_equal(Trainer.predict(arrays, data), Trainer.predict(arrays, data.x))


def test_evaluate_and_on_batch_forms():
    model = FakeModel()
    x, y = toy()
    loss, accuracy = Trainer.evaluate(model, x, y)
    assert Trainer.evaluate(model, x, y, batch_size=7) == pytest.approx([loss, accuracy])
    assert Trainer.evaluate(model, x, y, return_dict=True) == {"loss": loss, "accuracy": accuracy}
    assert Trainer.test_on_batch(model, x, y) == [loss, accuracy]
    assert model.state.step == 0
    assert Trainer.train_on_batch(model, x, y, return_dict=True) == {
        "loss": loss,
        "accuracy": accuracy,
    }
    assert model.state.step == 1
    assert Trainer.test_on_batch(model, x, y)[0] < loss
    assert isinstance(Trainer.evaluate(FakeModel(metric_names=()), x, y), float)


def test_predict_in_batches():
    model = FakeModel()
    x = toy()[0]
    fit(model, epochs=3)
    whole = Trainer.predict(model, x, batch_size=1000)
    assert whole.dtype == np.float32 and whole.shape == (30, 3)
    assert np.array_equal(Trainer.predict(model, x, batch_size=7), whole)
    pixels = (x * 200).astype(np.uint8)
    floats = pixels.astype(np.float32)
    assert np.array_equal(Trainer.predict(model, pixels), Trainer.predict(model, floats))
    first = Trainer.predict(model, x[:1])
    kept = first.copy()
    Trainer.predict(model, x[1:2])
    assert np.array_equal(first, kept)  # an array of its own


def test_predict_needs_no_compilation():
    model = FakeModel(loss=None, metric_names=())
    assert Trainer.predict(model, toy()[0]).shape == (30, 3)


def test_uint8_and_float64_images_are_taken():
    x, y = toy()
    pixels = (x * 200).astype(np.uint8)
    models = [FakeModel() for _ in range(3)]
    for model, images in zip(
        models, (pixels, pixels.astype("f4"), pixels.astype("f8")), strict=True
    ):
        fit(model, images, y)
    assert np.array_equal(models[0].weights, models[1].weights)
    assert np.array_equal(models[0].weights, models[2].weights)


def test_not_finite_ends_the_training_and_keeps_the_weights():
    model, ended = FakeModel(), []

    def poison(step):
        if step == 13:
            kept.extend(model.get_weights())
            model.engine()._forward = lambda *args: (
                None,
                None,
                SimpleNamespace(loss=np.array([np.nan])),
            )

    kept = []
    model.engine().on_step = poison
    with pytest.raises(NonFiniteError) as caught:
        fit(
            model,
            batch_size=3,
            epochs=5,
            callbacks=LambdaCallback(on_train_end=ended.append),
        )
    error = caught.value
    assert "layer 'dense'" in str(error) and "epoch 2, step 4" in str(error)
    assert (error.layer, error.epoch, error.step) == ("dense", 1, 3)
    assert error.history.epoch == [0]
    assert ended == [{name: values[-1] for name, values in error.history.history.items()}]
    assert all(np.array_equal(a, b) for a, b in zip(kept, model.get_weights(), strict=True))


def test_fit_works_outside_the_main_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(fit(FakeModel())))
    thread.start()
    thread.join()
    assert found[0].epoch == [0]


def test_lines_go_to_stderr(capsys):
    fit(FakeModel(), epochs=2, verbose="auto", validation_data=toy(6))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 2
    assert lines[0].startswith("Epoch 1/2  ")
    for part in ("images/s", "loss", "accuracy", "val_loss", "val_accuracy"):
        assert part in lines[0]


def test_verbose_0_is_silent(capsys):
    fit(FakeModel(), verbose=0)
    Trainer.evaluate(FakeModel(), *toy())
    assert capsys.readouterr() == ("", "")


BAR = """
import sys
import time
from fake_model import FakeModel, toy
from fastcnn.training.trainer import Trainer
model = FakeModel()

def step(number):
    time.sleep(0.005)
    if number == 50:
        print("a message", file=sys.stderr)

model.engine().on_step = step
start = time.monotonic()
Trainer.fit(model, *toy(100), batch_size=1, validation_data=toy(6))
print("seconds:", time.monotonic() - start)
"""


def test_bar_on_a_terminal():
    """In a pseudo-terminal: the bar moves at most ten times a second, and one line stays."""
    pty = pytest.importorskip("pty", reason="pseudo-terminals exist on POSIX alone")
    mine, its = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, sys.path))
    with subprocess.Popen(
        [sys.executable, "-c", BAR], stdout=subprocess.PIPE, stderr=its, env=environment
    ) as process:
        os.close(its)
        shown = b""
        try:
            while part := os.read(mine, 4096):
                shown += part
        except OSError:  # Linux's way to say that the other side is closed.
            pass
        said = process.stdout.read()
    os.close(mine)
    assert process.returncode == 0, shown.decode()
    text = shown.decode()
    assert "━" in text
    assert 3 <= text.count(" %") <= 7 + 10 * float(said.split()[-1])
    assert "\na message" not in text and "\x1b[2Ka message\r\n" in text  # In place of the bar.
    (line,) = [part for part in text.splitlines() if "val_loss" in part]
    assert "Epoch 1/1  " in line and "images/s" in line


def test_the_loop_costs_little_a_step():
    """Against a bare loop over the same batches: the mean over a run, the best of five runs, of
    this thread's own time, whatever else the machine does."""
    x, y = toy(4000)
    model = FakeModel()
    answer = SimpleNamespace(
        total_loss=np.zeros(1, np.float32),
        rank=np.zeros(1, np.int32),
        outputs=None,
        penalty=0.0,
        auxiliaries=(),
    )
    model.engine().train = lambda *arguments: answer
    order = np.arange(4000)
    best = {"fit": np.inf, "bare": np.inf}
    for _ in range(5):
        start = time.thread_time()
        fit(model, x, y, batch_size=1)
        best["fit"] = min(best["fit"], time.thread_time() - start)
        start = time.thread_time()
        for batch in Batches(x, y, None, 1, order):
            model.engine().train(*batch)
        best["bare"] = min(best["bare"], time.thread_time() - start)
    assert (best["fit"] - best["bare"]) / 4000 < 20e-6
