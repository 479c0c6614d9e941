"""Real mpiruns: several processes train as one would, and end as one would."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import mpirun
import numpy as np
import pytest

import fastcnn

RANKS = (2, 3, 4)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """By number of ranks, each rank's results; 0 is a process without mpirun. The checkpoints of
    three ranks are gone on from by two, whose results are at "resumed"."""
    checkpoints = tmp_path_factory.mktemp("checkpoints")

    def trained(ranks, how):
        folder = tmp_path_factory.mktemp("results")
        process = mpirun.run(ranks, "same_bits.py", folder, checkpoints, how)
        assert process.returncode == 0, process.stderr
        return mpirun.told(folder)

    by_ranks = {ranks: trained(ranks, "whole") for ranks in (0, 4, 2, 3)}
    return {**by_ranks, "resumed": trained(2, "resumed")}


@pytest.mark.parametrize("ranks", RANKS)
def test_weights_history_and_results_have_the_same_bits_for_any_number_of_ranks(results, ranks):
    (alone,) = results[0]
    assert len(results[ranks]) == ranks
    assert all(result == alone for result in results[ranks])
    assert alone["evaluated"] == alone["alone"]
    assert alone["outputs"] == alone["outputs_alone"]


def test_a_checkpoint_of_three_ranks_goes_on_with_two_as_if_nothing_had_been(results):
    (alone,) = results[0]
    for result in results["resumed"]:
        assert result["weights"] == alone["weights"]
        last = {name: values[-1:] for name, values in alone["history"].items()}
        assert result["history"] == last


def test_what_differs_on_the_ranks_is_named_before_the_first_step(tmp_path):
    process = mpirun.run(2, "refusals.py", tmp_path)
    assert process.returncode == 0, process.stderr
    first, second = mpirun.told(tmp_path)
    same = "Disagreement: All ranks must train with the same "
    other = "Received others on rank 1 than on rank 0. Nothing was trained."
    for answers in (first, second):
        images = "images and labels and images and labels to validate on"
        assert answers["other images"] == f"{same}{images}. {other}"
        assert answers["other weights"].startswith(f"{same}model, weights, arguments and ")
        assert answers["other arguments"] == f"{same}arguments. {other}"
        assert "fit: strategies are timed by one process" in answers["tune"]
        assert answers["other callbacks"] == f"{same}callbacks. {other}"
        assert answers["other batches"].startswith(
            "Disagreement: fit: x: batch 1 must be the same on all ranks"
        )
        assert "outputs of layer 'dense'" in answers["outputs that overflow on rank 1"]
        assert answers["other code"] == f"{same}code of classes of your own. {other}"
        libraries = "versions of NumPy, Numba and llvmlite"
        assert answers["other library"] == f"{same}{libraries}. {other}"
    assert first["an error on rank 1"].startswith(
        "Disagreement: Rank 1 could not begin, so none does: ValueError: fit: epochs"
    )
    assert second["an error on rank 1"].startswith("ValueError: fit: epochs")

    # Strategies are chosen by the times of rank 0, to which direct loops were the fastest.
    assert first["other times"] == second["other times"]
    assert first["other times"][0] == ["direct", "winograd"]


def test_an_error_of_a_script_on_one_rank_ends_all_before_they_join(tmp_path):
    process = mpirun.run(2, "endings.py", "early", tmp_path)
    assert process.returncode != 0
    assert "OSError: rank 1 has no data" in process.stderr
    assert "Rank 1 ended with OSError, and so do all." in process.stderr


@pytest.mark.parametrize("ending", ["killed", "error"])
def test_a_rank_that_dies_ends_all_and_leaves_a_whole_checkpoint(tmp_path, ending):
    process = mpirun.run(2, "endings.py", ending, tmp_path)
    assert process.returncode != 0
    if ending == "error":
        assert "OSError: the disk of rank 1 is gone" in process.stderr
        assert "Rank 1 ended with OSError, and so do all." in process.stderr
    assert fastcnn.load(tmp_path / "last.h5").epoch == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_step_of_all_ranks_and_keeps_their_weights(tmp_path, number):
    process = mpirun.start(2, "endings.py", "interrupted", tmp_path)
    until(tmp_path / "second epoch", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=mpirun.DEADLINE)
    first, second = mpirun.told(tmp_path)
    assert first == second
    assert first["interrupted"], errors
    assert errors.count("what is running is finished first") == 1
    assert first["epoch"] == fastcnn.load(tmp_path / "last.h5").epoch >= 1


def until(path: Path, process):
    end = time.monotonic() + mpirun.DEADLINE
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end, process.communicate()[1]
        time.sleep(0.05)


def test_the_command_trains_on_two_ranks_of_which_one_writes_and_tells(tmp_path):
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (120, 12, 12, 1), dtype=np.uint8), np.arange(120) % 3
    np.savez(tmp_path / "images.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    options = ["--model", "lenet5", "--data", "images.npz", "--epochs", "2", "--device", "cpu"]
    outputs = {}
    for ranks in (1, 2):
        line = [*mpirun.command(ranks, "")[:3], sys.executable, "-m", "fastcnn", "train", *options]
        process = subprocess.run(
            [*line, "--out", f"run{ranks}"],
            env=mpirun.environment(),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=mpirun.DEADLINE,
        )
        assert process.returncode == 0, process.stderr
        outputs[ranks] = process
    assert outputs[2].stderr.count("Epoch 2/2") == outputs[1].stderr.count("Epoch 2/2") == 1
    assert outputs[2].stderr.count("Distributed: 2 ranks on this computer") == 1
    histories = [(tmp_path / f"run{ranks}" / "history.csv").read_text() for ranks in (1, 2)]
    assert histories[0] == histories[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.npz", "run1", "run2"]
