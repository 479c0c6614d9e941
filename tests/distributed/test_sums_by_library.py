"""Where the MPI library sums the gradients, and where ranks have batch statistics of their own."""

import mpirun
import numpy as np
import pytest

ROUNDING = 2e-5  # of the largest change
IN_ONE_STEP = 1e-5


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Those of a process by itself, and those of two ranks."""

    def trained(ranks, how):
        folder = tmp_path_factory.mktemp("results")
        process = mpirun.run(ranks, "summed_by_library.py", folder, how)
        assert process.returncode == 0, process.stderr
        return mpirun.told(folder)

    return trained(0, "alone")[0], trained(2, "mpi-fast")


def test_ranks_end_with_the_same_weights_which_are_those_of_one_process_but_for_rounding(results):
    alone, (first, second) = results
    assert first == second
    moved, expected = np.array(first["moved"]), np.array(alone["moved"])
    np.testing.assert_allclose(moved, expected, rtol=0, atol=ROUNDING * np.abs(expected).max())
    for name, values in alone["history"].items():
        np.testing.assert_allclose(first["history"][name], values, rtol=1e-6)


def test_nets_of_all_kinds_of_layers_take_the_same_step(results):
    alone, (first, _) = results
    for values, expected in zip(first["drawn"], alone["drawn"], strict=True):
        np.testing.assert_allclose(values, expected, rtol=0, atol=IN_ONE_STEP)


def test_with_statistics_of_each_rank_a_step_is_the_mean_of_those_of_each_half(results):
    alone, (first, _) = results
    assert max(first["own_statistics"]) < ROUNDING
    assert min(alone["own_statistics"]) > 0.1
