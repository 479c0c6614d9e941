"""What convolutions are asked for beside their windows: connections and borders."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn import Sequential
from fastcnn import layers as L

# LeCun et al., 1998, Table I: which of the six maps of S2 each of the sixteen of C3 sees.
C3 = [
    [1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1],
    [1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1],
    [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1],
    [0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1],
    [0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1],
    [0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 1],
]


def test_the_third_layer_of_lenet_5_has_1516_parameters():
    layer = L.Conv2D(16, 5, connections=C3)
    layer.build((14, 14, 6))
    assert sum(parameter.size for parameter in layer.parameters) == 1516
    assert layer.multiply_adds() == 10 * 10 * 1500


def test_connected_weights_begin_as_those_of_all_pairs():
    dense = Sequential([L.Conv2D(16, 5)], (14, 14, 6), seed=3, device="cpu")
    model = Sequential([L.Conv2D(16, 5, connections=np.array(C3))], (14, 14, 6), seed=3)
    kernel = dense.layers[0].parameters[0].value * np.array(C3)
    np.testing.assert_array_equal(
        model.layers[0].parameters[0].value, kernel[:, :, np.array(C3, bool)]
    )
    dense.layers[0].parameters[0].value[...] = kernel
    x = np.random.default_rng(0).standard_normal((2, 14, 14, 6)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x), dense.predict(x), rtol=0, atol=1e-5)


def test_connections_are_saved(tmp_path):
    model = Sequential([L.Conv2D(16, 5, connections=np.array(C3))], (14, 14, 6), seed=3)
    again = Sequential.from_config(model.get_config())
    assert again.layers[0].connections == tuple(map(tuple, C3))
    model.save_weights(tmp_path / "w.weights.h5")
    again.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(again.parameters[0].value, model.parameters[0].value)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ([[1, 0]], r"a column for each of the 3 filters"),
        ([[1, 0, 2]], "a table of 0 and 1"),
        ("all", "a table of 0 and 1"),
        ([[1, 0, 0], [1, 1, 0]], "Received none for filter 2"),
    ],
)
def test_what_is_no_table_of_connections_is_refused(table, words):
    with pytest.raises(ValueError, match=words):
        L.Conv2D(3, 1, connections=table)


def test_connections_must_fit_the_input():
    with pytest.raises(ValueError, match="Received 1 rows and 2 channels"):
        L.Conv2D(2, 1, connections=[[1, 1]]).build((3, 3, 2))
    with pytest.raises(ValueError, match="connections and groups"):
        L.Conv2D(2, 1, groups=2, connections=[[1, 1]])


def test_an_unknown_border_is_refused():
    with pytest.raises(ValueError, match=r"Unknown padding_mode 'edges'\. Did you mean 'edge'"):
        L.Conv2D(2, 3, padding_mode="edges")
    with pytest.raises(ValueError, match="needs padding smaller than the image"):
        L.Conv2D(2, 3, padding=3, padding_mode="reflect").build((3, 4, 1))


def test_a_blur_keeps_a_flat_image_flat_with_its_edge_around():
    taps = np.array([1, 4, 6, 4, 1], np.float32) / 16
    for mode, flat in (("zeros", False), ("edge", True), ("reflect", True)):
        blur = L.Conv2D(1, 5, padding="same", use_bias=False, padding_mode=mode)
        model = Sequential([blur], (6, 7, 1), device="cpu")
        model.parameters[0].value[...] = np.outer(taps, taps)[:, :, None, None]
        blurred = model.predict(np.ones((1, 6, 7, 1), np.float32))
        assert np.allclose(blurred, 1) is flat
