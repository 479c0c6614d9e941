"""The lab's pictures: what they show, read back from their axes, and the files they become."""

from __future__ import annotations

import io
import itertools
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fastcnn.graph.problem import Problem
from fastcnn.lab.plots import bars, crossover, roofline, save, style
from fastcnn.lab.problems import sweep
from fastcnn.lab.problems.descriptor import describe
from fastcnn.lab.report import captions
from fastcnn.lab.results import AutoChoice, Ceilings, NamedProblem, Report, Result

MACHINE = "A processor, 2 threads"
CEILINGS = Ceilings(sgemm_gflops=100.0, fma_gflops=128.0, copy_gbytes=8.0)
STRATEGIES = ("direct", "im2col", "winograd", "fft")
DIRECTIONS = ("forward", "dx", "dw")


def problem(number: int, name: str = "", network: str = "net") -> NamedProblem:
    size = 7 * (1 + number % 4)
    one = Problem(size, size, 8 + number, 16, (3, 3), padding=((1, 1), (1, 1)))
    return NamedProblem(name or f"conv{number}", one, 8, describe(one, 8), network)


def result(
    one: NamedProblem, direction: str, strategy: str, gflops: float, direct: float
) -> Result:
    ms = 1e-6 * one.flops / gflops
    figures = {"median_ms": ms, "gflops": 1.25 * gflops, "to_direct": gflops / direct}
    return Result(one, direction, strategy, "ok", peer=strategy == "torch", **figures)


def report(problems, strategies=STRATEGIES, directions=DIRECTIONS) -> Report:
    """The faster the later in the list; every number of GFLOP/s is another.

    A fastest call is 1.25 times as fast as the median.
    """
    own = [
        result(one, direction, strategy, 10.0 * (place + 1) + number + 0.1 * turn, 10.0 + number)
        for number, one in enumerate(problems)
        for turn, direction in enumerate(directions)
        for place, strategy in enumerate(strategies)
    ]
    machine = {"processor": "A processor", "cores": 4, "threads": 2, "vector_bits": 256}
    return Report(machine, CEILINGS, own, repeat=5)


def points(axis) -> set[tuple[str, float, float]]:
    return {
        (line.get_label(), float(x), float(y))
        for line in axis.get_lines()
        if line.get_marker() not in ("None", "", None)
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


def texts(axis) -> list[str]:
    return [text.get_text() for text in axis.texts if text.get_text()]


def all_words(figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def test_roofline_shows_every_result():
    made = report([problem(0), problem(1)])
    (axis,) = roofline.draw(made, MACHINE).axes
    found = points(axis)
    assert len(found) == len(made.results)
    for one in made.results:
        label = f"{one.direction} {one.strategy}"
        (x,) = [x for name, x, y in found if name == label and y == one.gflops]
        assert x == pytest.approx(one.intensity, rel=0.06)  # directions stand side by side


def test_roofline_has_the_ceilings_of_the_run():
    (axis,) = roofline.draw(report([problem(0)]), MACHINE).axes
    lines = {line.get_label(): line for line in axis.get_lines()}
    x, y = lines["roof"].get_xdata(), lines["roof"].get_ydata()
    assert x[1] == 128 / 8 and list(y[1:]) == [128, 128]
    assert y[0] == pytest.approx(8 * x[0])
    assert set(lines["sgemm"].get_ydata()) == {100.0}
    assert {"memory, 8.0 GB/s", "arithmetic\n128 GFLOP/s", "sgemm\n100 GFLOP/s"} <= set(texts(axis))


def test_a_gpus_ceiling_is_that_of_its_multiply_adds(tmp_path):
    card = {"processor": "Abacus 9000", "simulated": False, "multiprocessors": 2}
    card |= {"memory": 1 << 33, "compute_capability": "9.0", "driver": "1.2", "package": "numba"}
    machine = {"card": card, "precision": "tf32"}
    made = replace(report([problem(0)]), machine=machine, ceilings=Ceilings(None, 128.0, 8.0))
    (axis,) = roofline.draw(made, MACHINE).axes
    assert "sgemm" not in {line.get_label() for line in axis.get_lines()}
    assert not any(text.startswith("sgemm") for text in texts(axis))
    assert "multiply-adds 128" in texts(bars.draw(made, MACHINE).axes[0])
    assert len(save.conv(made, tmp_path / "out.png")) == 2


def test_roofline_marks_the_fastest_own_result():
    made = report([problem(0)], ("direct", "winograd", "torch"), ("forward",))
    (axis,) = roofline.draw(made, MACHINE).axes
    rimmed = {
        line.get_label()
        for line in axis.get_lines()
        if len(line.get_xdata()) and line.get_markeredgecolor() == style.INK
    }
    assert "forward winograd" in rimmed and "forward torch" not in rimmed


def test_roofline_says_how_operations_are_counted():
    figure = roofline.draw(report([problem(0)]), MACHINE)
    assert captions.COUNTING in all_words(figure) and MACHINE in all_words(figure)


FEWER = "Winograd and FFT do fewer operations than are counted"
CACHED = "what stays in the caches is not bound by the memory"


@pytest.mark.parametrize(
    ("strategy", "gflops", "intensity", "ending"),
    [
        ("direct", 127.0, 20.0, "problem."),
        ("direct", 79.0, 10.0, "problem."),
        ("direct", 130.0, 20.0, "problem."),  # the ceiling was measured a little too low
        ("winograd", 129.0, 20.0, f"Above the roof: {FEWER}."),
        ("direct", 81.0, 10.0, f"Above the roof: {CACHED}."),
        ("winograd", 81.0, 10.0, f"Above the roof: {FEWER}; {CACHED}."),
    ],
)
def test_roofline_says_why_points_lie_above_it(strategy, gflops, intensity, ending):
    point = SimpleNamespace(strategy=strategy, gflops=gflops, intensity=intensity)
    assert roofline._reading([point], CEILINGS).endswith(ending)


@pytest.mark.parametrize("count", [1, 5, 13, 24, 40])
def test_roofline_names_do_not_overlap(count):
    (axis,) = roofline.draw(report([problem(n) for n in range(count)]), MACHINE).axes
    names = [text for text in axis.texts if text.get_text().startswith("conv")]
    assert len(names) == (count if count <= roofline.NAMED_PROBLEMS else 0)
    boxes = sorted(text.get_window_extent().x0 for text in names)
    heights = [text.get_window_extent().width for text in names]
    assert all(b - a >= 0.9 * heights[0] for a, b in itertools.pairwise(boxes))


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ([], []),
        ([0.0, 1.0, 5.0], [0.0, 1.0, 5.0]),
        ([3.0, 3.0], [2.5, 3.5]),
        ([5.0, 3.0, 3.2, 3.1], [5.075, 2.075, 4.075, 3.075]),
        ([0.0, 0.9, 1.0], [-0.3666667, 0.6333333, 1.6333333]),
    ],
)
def test_spread(wanted, places):
    assert roofline._spread(wanted, 1.0) == pytest.approx(places)


def test_bars_show_every_result():
    made = report([problem(n) for n in range(3)])
    figure = bars.draw(made, MACHINE)
    assert len(figure.axes) == 3
    for axis, direction in zip(figure.axes, DIRECTIONS, strict=True):
        widths = sorted(patch.get_width() for patch in axis.patches if patch.get_zorder() == 3)
        own = sorted(captions.rate(r) for r in made.results if r.direction == direction)
        assert widths == pytest.approx(own)
        assert style.DIRECTION_NAMES[direction] in texts(axis) and "sgemm 100" in texts(axis)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["conv0", "conv1", "conv2"]


def test_bars_mark_the_winner_and_its_lead():
    made = report([problem(0)], directions=("forward",))
    (axis,) = bars.draw(made, MACHINE).axes
    bold = [text.get_text() for text in axis.texts if text.get_weight() == "bold"]
    assert bold == ["40  4.0x", "forward"]
    assert {"10", "20", "30"} <= set(texts(axis))


def test_bars_show_what_was_not_timed():
    one = problem(0)
    made = report([one], ("direct", "im2col"), ("forward", "dx"))
    made.results[1] = Result(one, "forward", "im2col", "WRONG", "an error of 0.5")
    declined = [
        Result(one, direction, strategy, "declined", "no")
        for direction, strategy in (("forward", "winograd"), ("forward", "fft"), ("dx", "fft"))
    ]
    made.results.extend([*declined, result(one, "dx", "winograd", 50.0, 10.0)])
    forward, dx = bars.draw(made, MACHINE).axes
    assert {"WRONG", "declined"} <= set(texts(forward))
    assert not {"WRONG", "declined"} & set(texts(dx))
    # A strategy that computes no direction of a problem has no room in its group.
    assert sum(patch.get_zorder() == 3 for patch in dx.patches) == 3
    assert forward.get_ylim()[0] == pytest.approx(3 + bars.GAP)


def test_bars_tell_what_auto_takes_where_it_is_not_the_fastest():
    one, other = problem(0), problem(1)
    made = report([one, other], directions=("forward",))
    made.choices.append(AutoChoice(one, "forward", "im2col", "estimated", "fft", 0.5))
    made.choices.append(AutoChoice(other, "forward", "fft", "measured", "fft", 1.0))
    figure = bars.draw(made, MACHINE)
    (axis,) = figure.axes
    assert [text for text in texts(axis) if "auto" in text] == ["20  auto"]
    assert "auto: what fastcnn takes" in all_words(figure)


@pytest.mark.parametrize("count", [1, 13, 40])
@pytest.mark.parametrize("directions", [DIRECTIONS[:1], DIRECTIONS])
def test_bars_stay_within_a_page(count, directions):
    figure = bars.draw(report([problem(n) for n in range(count)], directions=directions), MACHINE)
    width, height = figure.get_size_inches()
    assert 6 < width < 16 and 3 < height < 20
    names = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert min(box.x0 for box in names) > 0
    assert all(a.y0 > b.y1 - 1 for a, b in itertools.pairwise(names))


def grid(strategies=STRATEGIES, directions=("forward",), keep=None):
    """A sweep of 3 x 2 problems, the first `keep` of them measured."""
    swept = sweep.parsed(["channels=8..32", "size=7..14"], {})
    return report(swept.problems()[:keep], strategies, directions), swept


def test_map_colours_each_cell_by_its_winner():
    made, swept = grid()
    (axis,) = crossover.draw(made, swept, MACHINE).axes
    cells = {patch.get_xy(): patch.get_facecolor() for patch in axis.patches}
    assert set(cells) == set(itertools.product(range(3), range(2)))
    assert set(map(tuple, cells.values())) == {tuple(rgba(style.COLOURS["fft"]))}
    ratios = {text.get_position(): text.get_text() for text in axis.texts}
    for one in captions.winners(made):
        x = swept.axes[0].values.index(one.problem.problem.channels)
        y = swept.axes[1].values.index(one.problem.problem.height)
        assert ratios[x + 0.5, y + 0.58] == captions.times(one.to_direct)
        assert ratios[x + 0.5, y + 0.27] == f"{captions.rate(one):.0f}"
    assert [label.get_text() for label in axis.get_xticklabels()] == ["8", "16", "32"]
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("channels = filters", "height = width")


def rgba(colour: str) -> list[float]:
    return [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)] + [1.0]


def test_map_of_an_interrupted_sweep():
    made, swept = grid(keep=4)
    figure = crossover.draw(made, swept, MACHINE)
    blank = tuple(rgba(style.UNMEASURED))
    assert sum(patch.get_facecolor() == blank for patch in figure.axes[0].patches) == 2
    keys = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert keys == ["fft", "not measured"]


def test_map_has_a_panel_a_direction():
    made, swept = grid(directions=DIRECTIONS)
    figure = crossover.draw(made, swept, MACHINE)
    titles = [axis.texts[-1].get_text() for axis in figure.axes]
    assert titles == [style.DIRECTION_NAMES[direction] for direction in DIRECTIONS]


def test_lines_over_one_parameter():
    swept = sweep.parsed(["channels=8..32"], {})
    made = report(swept.problems(), directions=("forward",))
    (axis,) = crossover.draw(made, swept, MACHINE).axes
    drawn = {line.get_label(): line for line in axis.get_lines()}
    for strategy in STRATEGIES:
        own = [captions.rate(one) for one in made.results if one.strategy == strategy]
        assert list(drawn[strategy].get_xdata()) == [8, 16, 32]
        assert list(drawn[strategy].get_ydata()) == own


@pytest.mark.parametrize(
    ("gflops", "words"),
    [
        ([], "Nothing was measured"),
        ([("direct", 90.0)], "direct is fastest on conv0: 90 GFLOP/s"),
        ([("direct", 90.0)] * 2, "direct is fastest in both contests"),
        ([("direct", 90.0)] * 3, "direct is fastest in all 3 contests"),
        (
            [("fft", 90.0), ("direct", 9.0), ("fft", 9.0)],
            "fft is fastest in 2 of 3 contests, direct in 1",
        ),
    ],
)
def test_verdict(gflops, words):
    won = [result(problem(0), "forward", name, rate, 1.0) for name, rate in gflops]
    assert captions.verdict(won) == words


@pytest.mark.parametrize(
    ("ratio", "words"), [(1.0, "1.0x"), (1.04, "1.04x"), (1.84, "1.8x"), (12.0, "12.0x")]
)
def test_times(ratio, words):
    assert captions.times(ratio) == words


def test_a_busy_machine_is_mentioned():
    calm, busy = report([]), replace(report([]), disturbance=0.125)
    assert captions.place(MACHINE, calm) == MACHINE
    words = captions.place(MACHINE, busy)
    assert words == f"{MACHINE}; other programs took 12 % of the processors"


def test_names_tell_sets_apart():
    same = [problem(0, "conv1", "alexnet"), problem(1, "conv1", "zfnet")]
    assert list(captions.names(same).values()) == ["alexnet conv1", "zfnet conv1"]
    assert list(captions.names(same[:1]).values()) == ["conv1"]


@pytest.mark.parametrize("background", [*style.COLOURS.values(), *style.OTHER_COLOURS])
def test_ink_is_legible_on_every_colour(background):
    """A contrast of at least 3, as WCAG asks of large text."""
    assert contrast(style.ink_on(background), background) >= 3


def contrast(one: str, other: str) -> float:
    one = "#ffffff" if one == "white" else one
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = np.array(rgba(colour)[:3])
    linear = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_unknown_strategies_get_colours_of_their_own():
    found = style.colours(["direct", "new", "newer"])
    assert list(found) == ["direct", "new", "newer"] and len(set(found.values())) == 3


def test_conv_writes_two_pictures(tmp_path):
    made = report([problem(0)])
    paths = save.conv(made, tmp_path / "new" / "out.png")
    assert [path.name for path in paths] == ["out-roofline.png", "out-bars.png"]
    figures = [roofline.draw(made, ""), bars.draw(made, "")]
    for path, figure in zip(paths, figures, strict=True):
        expected = figure.get_size_inches() * style.DOTS_PER_INCH
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert np.abs(np.array(picture.size) - expected).max() <= 1
    assert sorted(path.name for path in tmp_path.glob("new/*")) == [
        "out-bars.png",
        "out-roofline.png",
    ]


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".PNG"])
def test_formats(tmp_path, ending):
    made, swept = grid()
    (path,) = save.sweep(made, tmp_path / f"map{ending}", swept)
    save.check_path(path)
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    assert path.read_bytes().startswith(starts[ending.lower()])


@pytest.mark.parametrize("name", ["map", "map.jpg", "map.png.gz"])
def test_other_formats_are_refused(name):
    with pytest.raises(ValueError, match=r"must end in one of .png, .svg, .pdf. Received 'map"):
        save.check_path(name)


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    made, swept = grid()
    (path,) = save.sweep(made, tmp_path / "map.png", swept)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match=r"map.png' could not be written"):
        save.sweep(made, path, swept)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_report_of_nothing_is_still_a_picture():
    empty = report([])
    for figure in (roofline.draw(empty, ""), bars.draw(empty, "")):
        figure.savefig(io.BytesIO())
        assert "Nothing was measured" in all_words(figure)


def test_figures_belong_to_nobody():
    """pyplot, which keeps every figure that it makes, is left alone."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    before = len(pyplot.get_fignums()) if pyplot else 0
    roofline.draw(report([problem(0)]), "")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert (len(pyplot.get_fignums()) if pyplot else 0) == before
