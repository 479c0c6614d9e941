"""Ranks that compute on a GPU each, as Numba's simulator has it."""

from pathlib import Path

import mpirun
import numpy as np
import pytest

import fastcnn
from fastcnn import layers
from fastcnn.backends.batch_sharing import refuse_whole_statistics

SIMULATOR = Path(__file__).parent.parent / "cuda" / "simulator"
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Those of each of two ranks."""
    folder = tmp_path_factory.mktemp("results")
    process = mpirun.run(2, "on_gpus.py", folder, simulator=SIMULATOR)
    assert process.returncode == 0, process.stderr
    return mpirun.told(folder)


def test_two_ranks_hold_the_same_weights_which_are_those_of_one_process_but_for_rounding(results):
    first, second = results
    assert (first.pop("card"), second.pop("card")) == ("4", "7")
    assert first == second
    for name, (weights, history) in first["alone"].items():
        received, values = first["together"][name]
        np.testing.assert_allclose(received, weights, rtol=0, atol=ROUNDING, err_msg=name)
        assert values.keys() == history.keys()
        np.testing.assert_allclose([*values.values()], [*history.values()], rtol=ROUNDING)


def test_statistics_are_the_mean_of_what_each_rank_moves_by_its_images(results):
    for result in results:
        expected = result["mean_of_statistics"]
        np.testing.assert_allclose(result["statistics"], expected, rtol=0, atol=ROUNDING)


def test_what_overflows_on_one_rank_is_told_by_both_and_changes_nothing(results):
    for result in results:
        error, unchanged = result["overflowing"]
        assert "no longer finite" in error
        assert unchanged


def test_statistics_of_the_whole_batch_are_refused_with_the_argument_to_give(results):
    for result in results:
        assert "BatchNormalization(synchronized=False)" in result["refused"]


def test_a_layer_that_is_thawed_while_ranks_train_is_refused_too():
    network = fastcnn.Sequential([layers.BatchNormalization()], (2, 2, 1), device="cpu")
    network.layers[0].trainable = False
    refuse_whole_statistics(network.program(training=True))
    network.layers[0].trainable = True
    with pytest.raises(ValueError, match="synchronized=False"):
        refuse_whole_statistics(network.program(training=True))
