"""What is said on the way never ends a computation, whatever became of stdout and stderr."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import numpy as np
import pytest

from fastcnn import Sequential, layers
from fastcnn.callbacks import LearningRateScheduler
from fastcnn.training import progress
from fastcnn.utils import interrupt, messages

posix = pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


class Broken(io.StringIO):
    """A stream whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


class Bare:
    """What a program with windows may put in place of stderr."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        self.lines.append(text)


STREAMS = {"none": lambda: None, "closed": closed, "broken": Broken, "bare": Bare}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_fit_and_the_rest_work_without_streams(stream, monkeypatch):
    model = Sequential([layers.Flatten(), layers.Dense(2)], input_shape=(2, 2, 1), device="cpu")
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2, 2, 1), np.float32), np.ones((4, 2), np.float32)
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setattr(sys, "stdout", stream())
    rates = LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1), verbose=1)
    for verbose in ("auto", 0, 1, 2):
        model.fit(x, y, epochs=2, verbose=verbose, callbacks=[rates])
        model.evaluate(x, y, verbose=verbose)
    assert model.predict(x).shape == (4, 2)
    with progress.tally("", 1) as show:
        show(1, "x")
    interrupt.Interrupt()._handle(2, None)


def test_a_stream_that_only_writes_is_written_to(monkeypatch):
    stream = Bare()
    monkeypatch.setattr(sys, "stderr", stream)
    messages.say("a line")
    messages.status("none, as on no terminal")
    assert stream.lines == ["a line\n"]


def test_what_an_encoding_lacks_is_escaped(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stderr", stream)
    messages.say("été")
    stream.seek(0)
    assert stream.read() == "\\xe9t\\xe9\n"


@posix
@pytest.mark.parametrize("redirection", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_the_command_line_works_with_closed_streams(redirection, tmp_path):
    command = f"{sys.executable} -m fastcnn {{}} {redirection}"
    train = "train --data sample --epochs 1 --model net.py"
    (tmp_path / "net.py").write_text(
        "from fastcnn import Sequential\nfrom fastcnn.layers import *\n"
        "model = Sequential([Rescaling(1 / 255), MaxPooling2D(7), Flatten(), Dense(10)], "
        "input_shape=(28, 28, 1))\n"
    )
    for arguments, code in [(train, 0), ("summary --model lenet5", 0), ("train --epoch", 2)]:
        done = subprocess.run(
            command.format(arguments), shell=True, cwd=tmp_path, capture_output=True, timeout=300
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
    assert (tmp_path / "runs" / "train" / "model.h5").exists()


@posix
@pytest.mark.parametrize(
    ("arguments", "codes"),
    [("--help", {0, 1}), ("train --help", {0, 1}), ("summary --model lenet5", {1})],
)
def test_a_reader_that_leaves_at_once_hears_nothing(arguments, codes):
    read, write = os.pipe()
    os.close(read)
    try:
        command = [sys.executable, "-m", "fastcnn", *arguments.split()]
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=300)
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode in codes  # argparse takes no notice of what becomes of its help


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is full")
def test_a_full_disk_behind_the_output_is_told():
    for arguments in (["info"], ["summary", "--model", "lenet5"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "fastcnn", *arguments],
                stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            )  # fmt: skip
        assert done.returncode == 1
        assert "No space left on device, where the output goes" in done.stderr
        assert "Traceback" not in done.stderr


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_lines_end_between_words_and_columns_on_a_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    epoch = "Epoch 1/40  1.5 s  loss 0.6300  accuracy 0.6612  val_loss 0.4021"
    note = "Note: the folder 'photos/of many things' holds pictures that cannot be read."
    choice = "  --augment 'flip,RandomZoom(0.15, 0.15),RandomContrast(0.3)'  (none is seen twice)"
    text = "\n".join([epoch, note, choice, "short"])
    lines = messages.wrapped(text, Terminal()).split("\n")
    assert lines[:2] == ["Epoch 1/40  1.5 s  loss 0.6300", "    accuracy 0.6612  val_loss 0.4021"]
    assert all(len(line) <= 40 or " " not in line.strip() for line in lines)
    assert lines[-1] == "short" and "      (none is seen twice)" in lines
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    assert messages.wrapped(text, io.StringIO()) == text  # a file has each in one line
