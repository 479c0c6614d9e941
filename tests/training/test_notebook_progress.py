"""What a notebook shows of a training: one output, whatever the epochs."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest
from fake_model import FakeModel, toy

from fastcnn.callbacks import LambdaCallback
from fastcnn.training import progress
from fastcnn.training.notebook_output import KEPT
from fastcnn.training.trainer import Trainer


class Cell:
    """A notebook's cell, as IPython's `display` fills it: what each output has shown."""

    def __init__(self):
        self.outputs = []

    def display(self, content, raw, display_id):
        self.outputs.append([content])
        return SimpleNamespace(update=lambda content, raw: self.outputs[-1].append(content))


@pytest.fixture
def cell(monkeypatch):
    """The cell of a kernel that runs."""
    shown, ipython = Cell(), ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = SimpleNamespace(display=shown.display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def train(epochs, **options):
    return Trainer.fit(FakeModel(), *toy(), epochs=epochs, **options)


def test_a_training_has_one_output_with_the_lines_of_its_last_epochs(cell, capsys):
    train(KEPT + 3)
    (contents,) = cell.outputs
    assert "<progress" in contents[0]["text/html"]
    assert "Epoch 1/13" in contents[0]["text/html"]
    last = contents[-1]
    assert "<progress" not in last["text/html"]
    lines = last["text/plain"].split("\n")
    assert lines[0] == "… 3 more"
    assert [line.split()[1] for line in lines[1:]] == [f"{n}/13" for n in range(4, 14)]
    assert capsys.readouterr().err == ""


def test_names_are_text_in_the_output(cell):
    shown = progress.make("auto")
    shown.begin("<b>", 10)
    shown.update(5, {"<i>": 1.0})
    page = cell.outputs[0][-1]["text/html"]
    assert '&lt;b&gt; <progress value="5" max="10">' in page
    assert "&lt;i&gt; 1.0000" in page


def test_an_error_takes_the_bar_away(cell):
    def fail(batch, logs):
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        train(2, callbacks=LambdaCallback(on_train_batch_end=fail))
    assert "<progress" not in cell.outputs[-1][-1]["text/html"]


@pytest.mark.parametrize("verbose", [0, 2])
def test_lines_and_silence_are_what_they_are_elsewhere(verbose, cell, capsys):
    train(2, verbose=verbose)
    assert not cell.outputs
    assert capsys.readouterr().err.count("Epoch") == verbose


def test_a_shell_without_a_kernel_is_no_notebook(cell):
    sys.modules["IPython"].get_ipython = lambda: SimpleNamespace()
    assert type(progress.make("auto")) is progress.Lines
    sys.modules["IPython"].get_ipython = lambda: None
    assert type(progress.make(1)) is progress.Lines
