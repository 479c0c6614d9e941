"""How a process finds out that it is one of several, and what they exchange."""

import os
import sys

import numpy as np
import pytest

import fastcnn
from fastcnn.cli import main
from fastcnn.distributed import agreement, cards, launch
from fastcnn.distributed.ranks import adjoined, part_of
from fastcnn.kernels.cpu.simd import pairwise_sum as tree


@pytest.fixture(autouse=True)
def without_launcher(monkeypatch):
    for name in launch.SIZES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("name", launch.SIZES)
def test_a_launcher_tells_how_many_processes_it_started(monkeypatch, name):
    assert launch.started() == 1
    monkeypatch.setenv(name, "4")
    assert launch.started() == 4


@pytest.mark.parametrize(
    ("number", "listed", "taken"), [(1, "4,7,9", "7"), (5, "4,7,9", "9"), (3, None, "1")]
)
def test_a_process_takes_the_card_of_its_number(monkeypatch, number, listed, taken):
    monkeypatch.setenv("PMI_SIZE", "6")
    monkeypatch.setenv("MPI_LOCALRANKID", str(number))
    monkeypatch.setattr(cards, "_count", lambda: 2)
    monkeypatch.setenv(cards.VISIBLE, listed or "")
    if listed is None:
        monkeypatch.delenv(cards.VISIBLE)
    for _ in range(2):  # asked again, it is the same
        cards.take_own()
        assert os.environ[cards.VISIBLE] == taken


def test_a_process_by_itself_has_no_ranks_and_needs_no_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    assert launch.joined("auto", "fit") is None
    assert launch.joined(None, "fit") is None


@pytest.mark.parametrize("choice", ["auto", "mpi"])
def test_several_processes_without_mpi4py_train_nothing(monkeypatch, choice):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(ImportError, match=r"4 processes .* model of its own\. Install fastcnn\["):
        launch.joined(choice, "fit")
    assert launch.joined(None, "fit") is None


def test_distributed_is_heard_by_its_place_too(monkeypatch):
    """As the last argument without its name."""
    model = fastcnn.Sequential([fastcnn.layers.Dense(2)], input_shape=(3,), device="cpu")
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    with pytest.raises(ImportError, match="4 processes"):
        model.predict(np.zeros((1, 3), np.float32), 32, None, None, "auto")


def test_the_command_says_what_to_install_and_nothing_of_a_mistake_of_its_own(monkeypatch, capsys):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", None)
    assert main(["train", "--data", "sample", "--model", "lenet5", "--out", "nowhere"]) == 2
    assert capsys.readouterr().err.startswith("fastcnn train: 4 processes were started together")


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match=r"fit: distributed must be .*Received 'gloo'"):
        launch.joined("gloo", "fit")


def test_ranks_do_not_differ_by_where_their_objects_lie():
    """A function of a user's own names its address in its text."""
    names = [lambda: None, lambda: None]
    assert repr(names[0]) != repr(names[1])
    assert agreement.digest({"augment": names[0]}) == agreement.digest({"augment": names[1]})
    assert agreement.digest({"augment": names[0]}) != agreement.digest({"augment": len})


@pytest.mark.parametrize("count", range(1, tree.MOST_SUMMED + 1))
@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 16])
def test_branches_that_ranks_add_up_end_in_the_sum_of_one(count, ranks):
    """Within their own rows first, then what is left of the tree."""
    rows = np.random.default_rng(count).standard_normal((count, 600)).astype(np.float32)
    expected = rows.copy()
    for row, other, _ in tree.sums_of_tree(count):
        expected[row] += expected[other]
    ranges = [part_of(count, rank, ranks) for rank in range(ranks)]
    done = [tuple(sums) for part in ranges for sums in tree.sums_within(count, *part).tolist()]
    left = [sums[:2] for sums in tree.sums_of_tree(count) if sums[:2] not in done]
    for row, other in [*done, *left]:
        rows[row] += rows[other]
    np.testing.assert_array_equal(rows[0], expected[0])
    roots = [row for part in ranges for row in tree.roots_within(count, *part)]
    assert {other for _, other in left} <= {*roots}


def test_pieces_side_by_side_are_one_and_keep_their_order():
    """Ranks have their arrays at other addresses, so an order by these would not be one."""
    assert adjoined([(100, 8), (0, 4), (50, 0), (4, 6)]) == [(100, 8), (0, 10)]
