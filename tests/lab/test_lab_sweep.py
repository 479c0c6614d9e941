"""`bench sweep`: ranges in words, the grid of problems, what an interrupted sweep keeps."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from fastcnn.cli import main
from fastcnn.graph.problem import Problem
from fastcnn.lab.measure import runner
from fastcnn.lab.problems import sweep
from fastcnn.lab.problems.descriptor import parse
from fastcnn.lab.results import Ceilings


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("channels=8..256", (8, 16, 32, 64, 128, 256)),
        ("size=7..112", (7, 14, 28, 56, 112)),
        ("size=7..111", (7, 14, 28, 56)),
        ("batch=1..1", (1,)),
        ("kernel=3..9", (3, 5, 7, 9)),
        ("kernel=1..8", (1, 3, 5, 7)),
        ("channels=24,8,16", (8, 16, 24)),
        ("filters=5", (5,)),
    ],
)
def test_values(text, values):
    (axis,) = sweep.parsed([text], {}).axes
    assert (axis.parameter, axis.values) == (text.split("=")[0], values)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "one or two different parameters. Received none"),
        (["channels=8", "size=7", "batch=1"], "one or two different parameters"),
        (["size=7", "size=14"], "one or two different parameters"),
        (["chanels=8..16"], "Unknown parameter 'chanels'. Did you mean 'channels'"),
        (["channels"], r"expected NAME=LOW..HIGH or NAME=VALUE"),
        (["channels="], "whole numbers of at least 1. Received ''"),
        (["channels=8..x"], "whole numbers of at least 1. Received 'x'"),
        (["channels=8...16"], "Received '.16'"),
        (["size=-7..14"], "Received '-7'"),
        (["size=0,7"], "Received '0'"),
        (["size=7.5"], "Received '7.5'"),
        (["size=99999999"], "Received '99999999'"),
        (["size=28..7"], "must go from low to high"),
        (["size=7,14,7"], "names a value twice"),
        (["size=" + ",".join(map(str, range(1, 90)))], "has 89 values"),
    ],
)
def test_refused(texts, words):
    with pytest.raises(ValueError, match=words):
        sweep.parsed(texts, {})


def test_grid():
    swept = sweep.parsed(["channels=8,16", "size=7,14"], {"batch": 2, "kernel": 5})
    problems = swept.problems()
    assert [one.name for one in problems] == [
        *("channels=8 size=7", "channels=8 size=14", "channels=16 size=7", "channels=16 size=14")
    ]
    pad = ((2, 2), (2, 2))
    assert problems[1].problem == Problem(14, 14, 8, 8, (5, 5), padding=pad)
    assert {one.batch for one in problems} == {2}
    for one in problems:
        described = parse(one.descriptor)
        assert (described.problem, described.batch) == (one.problem, one.batch)
    across, up = swept.axes
    assert [(across.of(one), up.of(one)) for one in problems] == [
        (8, 7),
        (8, 14),
        (16, 7),
        (16, 14),
    ]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 11])
def test_padding_keeps_the_size(kernel):
    (one,) = sweep.parsed([f"kernel={kernel}"], {"size": 7}).problems()
    assert (one.problem.out_height, one.problem.out_width) == (7, 7)


def test_channels_and_filters():
    """There are as many filters as channels unless they are named."""
    filters = [
        [one.problem.filters for one in sweep.parsed(texts, fixed).problems()]
        for texts, fixed in (
            (["channels=8,16"], {}),
            (["channels=8,16"], {"filters": 4}),
            (["channels=8,16", "filters=1,2"], {}),
            (["size=7"], {"channels": 3}),
        )
    ]
    assert filters == [[8, 16], [4, 4], [1, 2, 1, 2], [3]]


def test_words_for_pictures():
    swept = sweep.parsed(["channels=8..16", "size=7..14"], {"batch": 4})
    assert swept.settings == "3x3 kernels, batches of 4"
    assert [swept.title(axis) for axis in swept.axes] == ["channels = filters", "height = width"]
    swept = sweep.parsed(["channels=8..16"], {"filters": 5, "channels": 3})
    assert swept.settings == "3x3 kernels, 5 filters, 28x28 pixels, batches of 8"
    assert swept.title(swept.axes[0]) == "channels"
    swept = sweep.parsed(["batch=1..2"], {})
    assert swept.settings == "3x3 kernels, 64 channels and filters, 28x28 pixels"


def test_problems_that_no_memory_holds():
    swept = sweep.parsed(["size=7,100000"], {})
    with pytest.raises(ValueError, match=r"sweep size=100000 needs \d+ GB .* take a smaller batch"):
        swept.problems()


class Sampler:
    """Ceilings out of the air; presses Ctrl-C before problem number `stop`."""

    stop = 0
    ceilings = Ceilings(100.0, 120.0, 10.0)

    def __init__(self) -> None:
        self.samples = 0

    def sample(self) -> None:
        self.samples += 1
        if self.samples == self.stop:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def ceilings(monkeypatch):
    monkeypatch.setattr(runner, "Sampler", Sampler)
    return monkeypatch


COMMAND = (
    "bench sweep --over channels=2,4 --over size=3..6 --batch 2 --repeat 1 --direction forward"
)


def run(arguments: str, *more: str) -> int:
    return main([*arguments.split(), "--strategy", "direct", *more])


def test_command(ceilings, tmp_path, capsys):
    data, lines, plot = (tmp_path / name for name in ("a.json", "a.csv", "a.png"))
    code = run(COMMAND, "--json", str(data), "--csv", str(lines), "--plot", str(plot))
    text = capsys.readouterr().out
    assert code == 0
    assert "3x3 kernels, batches of 2" in text and text.count("direct 1.0x") == 4
    assert "direct is fastest in all 4 contests" in text
    names = [one["problem"]["name"] for one in json.loads(data.read_text())["results"]]
    assert names == [f"channels={c} size={s}" for c in (2, 4) for s in (3, 6)]
    assert [row["name"] for row in csv.DictReader(lines.read_text().splitlines())] == names
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_command_over_one_parameter(ceilings, capsys):
    assert run("bench sweep --over kernel=1..3 --size 4 --channels 2 --batch 1 --repeat 1") == 0
    text = capsys.readouterr().out
    for direction in ("forward", "dx", "dw"):
        assert direction in text.splitlines()
    rows = [line.split() for line in text.splitlines() if line.split()[:1] in (["1"], ["3"])]
    assert [row[:2] for row in rows] == [["1", "*"], ["3", "*"]] * 3


def test_an_interrupted_sweep_keeps_what_it_has(ceilings, tmp_path, capsys):
    ceilings.setattr(Sampler, "stop", 3)
    lines, plot = tmp_path / "a.csv", tmp_path / "a.png"
    assert run(COMMAND, "--csv", str(lines), "--plot", str(plot)) == 130
    text = capsys.readouterr().out
    assert "interrupted" in text and text.count("direct 1.0x") == 2 and text.count("–") == 2
    kept = [row["name"] for row in csv.DictReader(lines.read_text().splitlines())]
    assert kept == ["channels=2 size=3", "channels=2 size=6"]
    assert plot.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("bench sweep --over chanels=8", "--over: Unknown parameter 'chanels'"),
        ("bench sweep --over size=-7..9", "--over: 'size=-7..9': expected whole numbers"),
        ("bench sweep --over size=7 --over size=8", "one or two different parameters"),
        ("bench sweep --over size=100000", "take a smaller batch or problem"),
        ("bench sweep --over size=7 --plot a.jpg", "must end in one of .png, .svg, .pdf"),
        (
            "bench sweep --over size=7 --csv nowhere/a.csv",
            f"there is no folder '{Path('nowhere').absolute()}'",
        ),
        ("bench sweep --over size=7 --precision tf32", "precision='tf32' needs a GPU"),
    ],
)
def test_used_wrongly(arguments, words, capsys):
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


@pytest.mark.parametrize("arguments", ["bench sweep", "bench sweep --over size=7 --batch 0"])
def test_refused_by_the_parser(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
