"""What callbacks may do where ranks train together."""

import mpirun


def test_a_callback_predicts_by_itself_copies_the_model_and_stops_all_ranks(tmp_path):
    process = mpirun.run(2, "own_callbacks.py", tmp_path)
    assert process.returncode == 0, process.stderr
    first, second = mpirun.told(tmp_path)
    assert first == second
    assert first["epoch"] == 2
    assert first["copied"] == first["weights"]
    assert first["seen"] == first["after"]
