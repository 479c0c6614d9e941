"""The pictures: what they show, read back from their axes; files; words for wrong input."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import pyplot

from fastcnn import plots
from fastcnn.callbacks.history import History

VALUES = {
    "loss": [1.0, 0.5, 0.3, 0.2],
    "accuracy": [0.5, 0.7, 0.8, 0.9],
    "val_loss": [0.9, 0.6, 0.7, float("nan")],
    "val_accuracy": [0.5, 0.7, 0.75, float("nan")],
    "learning_rate": [0.1, 0.1, 0.1, 0.1],
}


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    pyplot.close("all")


def lines(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_curves():
    _, axes = plots.curves(VALUES)
    assert [axis.get_title(loc="left") for axis in axes] == ["loss", "accuracy"]
    shown = lines(axes[0])
    assert shown["training"].get_linestyle() == "--"
    assert shown["validation"].get_linestyle() == "-"
    assert shown["training"].get_ydata().tolist() == VALUES["loss"]
    assert shown["training"].get_xdata().tolist() == [1, 2, 3, 4]
    (best,) = [line for label, line in shown.items() if label.startswith("best epoch, 2")]
    assert (best.get_xdata(), best.get_ydata()) == ([2], [0.6])
    assert "best epoch, 2: 0.7" in lines(axes[1])


def test_curves_without_validation():
    _, axes = plots.curves({"loss": [3.0, 1.0]})
    shown = lines(axes[0])
    assert "validation" not in shown and "best epoch, 2: 1" in shown


def test_curves_of_a_resumed_history():
    history = History()
    for epoch in (4, 5):
        history.add(epoch, {"loss": 1.0 / epoch}, 1.0, 10)
    _, axes = plots.curves(history)
    assert lines(axes[0])["training"].get_xdata().tolist() == [5, 6]


@pytest.mark.parametrize("values", [{"loss": [1.0]}, {"loss": [np.nan, np.nan]}])
def test_curves_of_little(values, tmp_path):
    plots.curves(values, save=tmp_path / "curves.png")


def test_confusion_matrix_shows_counts_and_names():
    _, axis = plots.confusion_matrix([[5, 1], [0, 1234]], ["cat", "dog"])
    texts = {text.get_position(): text.get_text() for text in axis.texts}
    assert texts == {(0, 0): "5", (1, 0): "1", (1, 1): "1,234"}
    assert [label.get_text() for label in axis.get_xticklabels()] == ["cat", "dog"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cat", "dog"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert axis.get_title(loc="left") == "99.92 % of 1,240 images right"
    assert axis.images[0].get_array()[0].tolist() == pytest.approx([5 / 6, 1 / 6])


def test_confusion_matrix_of_many_classes_has_no_numbers():
    _, axis = plots.confusion_matrix(np.eye(40, dtype=int))
    assert not axis.texts


def test_mistakes_shows_the_surest_first():
    x = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 1), np.uint8)
    y = [0, 1, 0, 1, 0]
    shares = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
    figure, axes = plots.mistakes(x, y, shares, ["cat", "dog"], rows=1, columns=2)
    assert axes.shape == (1, 2)
    found = [(axis.get_title(), axis.texts[0].get_text()) for axis in axes[0]]
    assert found == [("cat", "dog 80 %"), ("dog", "cat 60 %")]
    assert axes[0, 0].images[0].get_array()[0, 0] == pytest.approx(2 / 255)
    assert figure.get_suptitle().startswith("3 of 5 images")


def test_mistakes_reads_only_what_it_shows():
    x = np.random.default_rng(0).integers(0, 256, (40, 3, 3, 3), np.uint8)
    seen = []

    class Images:
        labels, image_shape, dtype = np.zeros(40, np.int32), (3, 3, 3), np.uint8

        def __len__(self):
            return 40

        def images(self, indices, out):
            seen.extend(indices.tolist())
            out[...] = x[indices]

    shares = np.tile([0.4, 0.6], (40, 1))
    shares[7] = (0.1, 0.9)
    figure, axes = plots.mistakes(Images(), [0] * 40, shares, rows=1, columns=4)
    assert seen == [7, 0, 1, 2]
    np.testing.assert_array_equal(axes[0, 0].images[0].get_array(), x[7] / 255)
    assert figure.get_suptitle().startswith("40 of 40 images")


@pytest.mark.parametrize("shape", [(6, 4, 4), (6, 4, 4, 1), (6, 4, 4, 3)])
def test_mistakes_takes_grey_and_colour(shape, tmp_path):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    plots.mistakes(x, [1] * 6, np.tile([0.7, 0.3], (6, 1)), save=tmp_path / "mistakes.png")


def test_no_mistakes(tmp_path):
    figure, _ = plots.mistakes(np.zeros((2, 3, 3, 1)), [0, 0], [[1.0, 0.0]] * 2)
    assert figure.get_suptitle().startswith("0 of 2 images")


def test_save_makes_folders_and_leaves_no_figure_open(tmp_path):
    path = tmp_path / "runs" / "demo" / "curves.png"
    plots.curves(VALUES, save=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda: plots.curves({}), "at least one epoch's 'loss'. Received an empty history"),
        (lambda: plots.confusion_matrix([[1, 2]]), r"square.*Received shape \(1, 2\)"),
        (lambda: plots.confusion_matrix(np.eye(2), ["cat"]), "2 names. Received 1"),
        (lambda: plots.mistakes(np.zeros((2, 3)), [0, 1], np.eye(2)), r"Received shape \(2, 3\)"),
        (lambda: plots.mistakes(np.zeros((2, 3, 3)), [0], np.eye(2)), r"Received \(1,\)"),
    ],
)
def test_refused(run, words):
    with pytest.raises(ValueError, match=words):
        run()


def test_draws_without_a_display(tmp_path):
    """And loads matplotlib only when a picture is asked for."""
    code = f"""
import sys
from fastcnn import plots
assert "matplotlib" not in sys.modules
plots.curves({{"loss": [1.0, 0.5]}}, save={str(tmp_path / "curves.png")!r})
import matplotlib
assert matplotlib.get_backend().lower() == "agg", matplotlib.get_backend()
"""
    environment = {"PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "curves.png").exists()


def test_curves_of_epochs_without_validation():
    """A line goes from one measured value to the next."""
    nan = float("nan")
    history = {"loss": [4.0, 3.0, 2.0, 1.0], "val_loss": [nan, 5.0, nan, 4.0]}
    _, axes = plots.curves(history)
    line = next(line for line in axes[0].lines if line.get_label() == "validation")
    assert line.get_xdata().tolist() == [2, 4] and line.get_ydata().tolist() == [5, 4]


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_each_image_by_its_own_range(dtype):
    ramp = np.arange(4).reshape(1, 2, 2, 1)
    x = np.concatenate([ramp, 50 * ramp]).astype(dtype)
    highest = {np.float32: 150.0, np.uint8: 255.0}[dtype]
    for scale_each, white in ((False, (3 / highest, 150 / highest)), (True, (1.0, 1.0))):
        _, axes = plots.images(x, scale_each=scale_each)
        drawn = [axis.images[0].get_array() for axis in axes.ravel()]
        np.testing.assert_allclose([picture.max() for picture in drawn], white, rtol=1e-6)
        assert [picture.min() for picture in drawn] == [0.0, 0.0]


def test_values_that_are_not_finite_leave_the_others_their_range():
    x = np.array([-1.0, 1.0, np.nan, np.inf], np.float32).reshape(1, 2, 2, 1)
    _, axes = plots.images(x)
    assert np.ravel(axes[0, 0].images[0].get_array())[:2].tolist() == [0.0, 1.0]


def test_small_values_are_drawn_from_black_to_white():
    x = np.array([-0.05, 0.0, 0.05, 0.05], np.float32).reshape(1, 2, 2, 1)
    _, axes = plots.images(x)
    drawn = axes[0, 0].images[0].get_array()
    np.testing.assert_allclose(np.ravel(drawn), [0.0, 0.5, 1.0, 1.0])
    _, axes = plots.images(np.full((1, 2, 2), 7.0))
    assert (axes[0, 0].images[0].get_array() == 0.5).all()


@pytest.mark.filterwarnings("error")
def test_pictures_take_names_of_any_length_and_letters(tmp_path):
    """Of long names the beginning is shown, and matplotlib complains of no name."""
    names = ["蟻" * 60, "a$b$c_{" * 9]
    figure, axes = plots.confusion_matrix(np.eye(2, dtype=int), names)
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["蟻" * 23 + "…", r"a\$b\$c_{a\$b\$c_{a\$b\$c_{a\$…"]
    plots.write(figure, tmp_path / "a.png", dpi=40)
    shares = np.array([[0.1, 0.9], [0.8, 0.2]])
    plots.mistakes(np.zeros((2, 8, 8, 1)), [0, 1], shares, names, save=tmp_path / "b.png")
    plots.images(np.zeros((2, 8, 8, 1)), [0, 1], names, save=tmp_path / "c.png")
