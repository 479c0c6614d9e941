"""What is simulated of many computers follows from what was measured of few ranks."""

import pytest

from fastcnn.cli import main
from fastcnn.cli.commands import bench_scaling
from fastcnn.lab.measure.scaling import NETWORKS, Network, RankStep, Scaling


def scaling(gathered=1000, scattered=50_000, step=0.01):
    """Ranks that send each other `gathered` bytes, and `scattered` in parts."""

    def of(ranks):
        sent = (ranks - 1) * gathered + (ranks - 1) * scattered // ranks
        return RankStep(
            ranks, 128 * ranks, step * ranks, 0.002, 3, 3 * (ranks - 1), sent, 1e-5, 1e9
        )

    alone = RankStep(1, 128, step, 0.0, 0, 0, 0)
    return Scaling("net", 128, alone, [of(2)], [of(2), of(4)])


def test_what_is_sent_is_taken_apart():
    gathered, scattered, meetings = scaling()._bytes()
    assert gathered == pytest.approx(1000)
    assert scattered == pytest.approx(50_000)
    assert meetings == 3


def test_the_simulated_time_is_latencies_messages_and_bytes():
    network = Network("slow", latency=1e-3, message=1e-4, bandwidth=1e6)
    seconds = 3 * 1e-3 + 3 * 7 * 1e-4 + (7 * 1000 + 7 / 8 * 50_000) / 1e6
    assert scaling().simulated(network, 8) == pytest.approx(0.01 / (0.01 + seconds))
    assert scaling().simulated(network, 1) == 1


def test_the_number_of_computers_is_the_first_that_is_not_worth_it():
    slow = scaling(gathered=10_000)
    for network in NETWORKS:
        count = slow.most_worth(network)
        assert slow.simulated(network, count) < 0.8 <= slow.simulated(network, count - 1)
    assert scaling(gathered=0, scattered=0, step=100.0).most_worth(NETWORKS[1]) == 0


def test_an_exchange_is_transfer_and_waiting():
    step = scaling().strong[0]
    assert step.transferring == pytest.approx(3e-5 + 26_000 / 1e9)
    assert step.waiting == pytest.approx(0.002 - step.transferring)


def test_the_simulation_is_checked_against_what_was_measured_here():
    measured = scaling(gathered=1_000_000)  # 1 ms between two ranks, beside steps of 20 ms
    assert measured.simulated_here(measured.weak[0]) == pytest.approx(0.02 / (0.02 + 0.001055))
    assert measured.weak_efficiency(measured.weak[0]) == 1
    line = "  2 ranks: 95 % simulated, 100 % measured, 5 points less"
    assert bench_scaling.checks(measured)[1] == line


@pytest.mark.parametrize("ranks", ["1", "17"])
def test_numbers_of_ranks_that_cannot_be_are_refused(ranks, capsys):
    assert main(["bench", "scaling", "lenet5", "--ranks", ranks]) == 2
    assert "--ranks: give one from 2 to 16" in capsys.readouterr().err
