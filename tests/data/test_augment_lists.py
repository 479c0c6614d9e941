"""Lists of augmentations: parameters, order, randomness, configurations and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from fastcnn import data as of
from fastcnn.data.augment.color import ColorMap
from fastcnn.data.counter_rng import key, normals, uniforms
from fastcnn.utils import naming

MASK = 2**64 - 1
EVERY = np.arange(400)
# Places and values rounded in float32: see tests/data/test_augment_pass.py.
SAMPLED = 255 * 4 * 2.0**-23


def images(count=400, shape=(12, 10, 3), dtype=np.uint8):
    return (np.random.default_rng(3).random((count, *shape)) * 255).astype(dtype)


def augmented(augmentations, x, indices=None, epoch=0, **options):
    indices = np.arange(len(x)) if indices is None else indices
    return of.Augment(augmentations, **options).apply(x, indices, epoch)


def splitmix(state):
    """SplitMix64's finaliser, as published, on Python's whole numbers."""
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_uniform_numbers_are_splitmix64s():
    # The first numbers of the published generator started at 1234567.
    golden = 0x9E3779B97F4A7C15
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [splitmix((1234567 + golden * (k + 1)) & MASK) for k in range(3)] == published
    streams = np.array([0, 7, 2**40])
    made = uniforms(99, streams, 4)
    for row, stream in zip(made, streams.tolist(), strict=True):
        state = splitmix((99 + golden * (stream + 1)) & MASK)
        bits = [splitmix((state + golden * (k + 1)) & MASK) >> 11 for k in range(4)]
        assert row.tolist() == [number / 2**53 for number in bits]


def test_keys_differ_in_every_part():
    keys = {key(*parts) for parts in np.ndindex(4, 4, 4, 4)}
    assert len(keys) == 4**4
    assert key(-1, 0, 0) == key(2**64 - 1, 0, 0)


def test_normal_numbers_are_normal():
    z = normals(uniforms(5, np.arange(50_000), 4))
    # Five standard errors of the mean, and of the variance, of 200,000 numbers.
    assert abs(z.mean()) < 5 / np.sqrt(z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(2 / z.size)


IDENTITIES = [
    of.RandomCrop(12, 10),
    of.RandomTranslation(0, 0),
    of.RandomRotation(0),
    of.RandomZoom(0),
    of.RandomZoom(0, 0, fill_mode="constant"),
    of.RandomShear(0, 0),
    of.RandomBrightness(0),
    of.RandomContrast(0),
    of.RandomSaturation((0.5, 0.5)),
    of.RandomHue(0),
    of.PCAColor(0, [3.0, 2.0, 1.0], np.eye(3)),
    of.RandomGaussianBlur(0),
    of.RandomGaussianBlur((1, 1), kernel_size=1),
    of.GaussianNoise(0),
    of.RandomErasing(0),
]


@pytest.mark.parametrize("identity", IDENTITIES, ids=repr)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_identity_parameters_give_the_images_back_bit_for_bit(identity, dtype):
    x = images(20, dtype=dtype)
    np.testing.assert_array_equal(augmented([identity], x), x)


def test_all_identities_together():
    x = images(20)
    moving = [one for one in IDENTITIES if one.get_config().get("fill_mode") != "constant"]
    np.testing.assert_array_equal(augmented(moving, x), x)


U = np.array([[0.0, 0.25, 0.75], [0.5, 0.5, 0.25], [0.999, 0.1, 0.6]])
SHAPE = (12, 10, 3)


def expected_matrix(cls, u):
    """The matrix of Keras's layer, rows before columns, by its documentation, in float64."""
    to_centre = np.array([[1, 0, 5.5], [0, 1, 4.5], [0, 0, 1]])
    around = np.eye(3)
    if cls is of.RandomTranslation:  # 0.25 and 0.5
        return np.array([[1, 0, -12 * (0.5 * u[0] - 0.25)], [0, 1, -10 * (u[1] - 0.5)], [0, 0, 1]])
    if cls is of.RandomShear:  # 0 to 0.2 columns a row, 0.1 to 0.3 rows a column
        sign = -1 if u[2] > 0.5 else 1
        rows, columns = sign * (0.1 + 0.2 * u[0]), sign * 0.2 * u[1]
        return np.array([[1, rows, 0], [columns, 1, 0], [0, 0, 1]])
    if cls is of.RandomRotation:  # 0.1 turns
        angle = 2 * np.pi * (0.2 * u[0] - 0.1)
        around[:2, :2] = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
    else:  # -0.5 to 0.1, and 0.2
        around[0, 0], around[1, 1] = 0.5 + 0.6 * u[0], 0.8 + 0.4 * u[1]
    return to_centre @ around @ np.linalg.inv(to_centre)


@pytest.mark.parametrize(
    "one",
    [
        of.RandomTranslation(0.25, 0.5),
        of.RandomShear(0.2, (0.3, 0.1)),
        of.RandomRotation(0.1),
        of.RandomZoom((-0.5, 0.1), 0.2),
    ],
    ids=repr,
)
def test_matrices_are_those_of_the_documentation(one):
    made = one.affine(U[:, : one.draws], SHAPE).matrices(3)
    expected = [expected_matrix(type(one), u)[:2] for u in U]
    # Float64 sums of a few terms of up to 12 pixels.
    np.testing.assert_allclose(made, expected, rtol=0, atol=1e-13)


def test_a_quarter_turn_is_counter_clockwise():
    x = images(3, (9, 9, 3))
    turned = augmented([of.RandomRotation((0.25, 0.25))], x)
    np.testing.assert_allclose(turned, np.rot90(x, axes=(1, 2)), rtol=0, atol=SAMPLED)


def test_a_list_is_one_resampling_in_its_order():
    """Against the product of the matrices, and SciPy."""
    steps = [of.RandomRotation(0.1), of.RandomZoom(0.3, 0.2), of.RandomTranslation(0.2, 0.2)]
    x = images(6)
    made = augmented(steps, x, seed=4, epoch=2)
    whole = np.eye(3)[np.newaxis]
    for number, one in enumerate(steps):
        u = uniforms(key(4, 2, number), np.arange(6), one.draws)
        last = np.tile([[[0, 0, 1.0]]], (6, 1, 1))
        whole = whole @ np.concatenate([one.affine(u, SHAPE).matrices(6), last], axis=1)
    for i in range(6):
        for c in range(3):
            expected = ndimage.affine_transform(
                x[i, :, :, c].astype(float), whole[i, :2, :2], whole[i, :2, 2], order=1,
                mode="reflect",
            )  # fmt: skip
            np.testing.assert_allclose(made[i, :, :, c], expected, rtol=0, atol=SAMPLED)


def test_crop_then_flip_is_numpys():
    x = images()
    made = augmented([of.RandomCrop(8, 6, padding=3), of.RandomFlip("horizontal")], x, seed=1)
    padded = np.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))
    places = uniforms(key(1, 0, 0), EVERY, 2)
    flips = uniforms(key(1, 0, 1), EVERY, 2)[:, 1] < 0.5
    for i in EVERY:
        top, left = np.floor(places[i] * [11, 11]).astype(int)
        window = padded[i, top : top + 8, left : left + 6]
        np.testing.assert_array_equal(made[i], window[:, ::-1] if flips[i] else window)
    # All 121 places, and both directions, are likely to be met among 400: half of them certainly.
    assert len({tuple(place) for place in np.floor(places * 11)}) > 100


@pytest.mark.parametrize("mode", of.RandomFlip.MODES)
def test_half_of_the_images_are_flipped(mode):
    x = images(4000, (2, 2, 1))
    made = augmented([of.RandomFlip(mode)], x)
    changed = {
        (down, across): (made == x[:, :: 1 - 2 * down, :: 1 - 2 * across]).all(axis=(1, 2, 3))
        for down in (0, 1)
        for across in (0, 1)
    }
    allowed = [pair for pair in changed if _allowed(mode, *pair)]
    assert np.any([changed[pair] for pair in allowed], axis=0).all()
    for pair in allowed:
        chance = 1 / len(allowed)
        # Five standard deviations of a count; images that look alike turned are few.
        assert abs(changed[pair].sum() - 4000 * chance) < 5 * np.sqrt(4000 * chance) + 20


def _allowed(mode, down, across):
    return (not down or mode != "horizontal") and (not across or mode != "vertical")


@pytest.mark.parametrize(
    ("one", "measure", "low", "high"),
    [
        (of.RandomBrightness(0.2), lambda x, y: y[:, 0, 0, 0] - 100, -51, 51),
        (of.RandomBrightness((0.1, 0.3)), lambda x, y: y[:, 0, 0, 0] - 100, 25.5, 76.5),
        (of.RandomContrast(0.5), lambda x, y: (y[:, 0, 0, 0] - y[:, 0, 1, 0]) / 20, 0.5, 1.5),
        (of.RandomTranslation(0, 0.3), lambda x, y: (100 - y[:, 0, 5, 0]) / 20 + 5, None, None),
    ],
    ids=repr,
)
def test_ranges_are_filled_evenly(one, measure, low, high):
    """Images that fall by 20 at each column, but for the last that lifts the mean."""
    x = np.full((4000, 4, 2, 1), 100.0, np.float32)
    x[:, :, 1] = 80
    if low is None:
        x = np.broadcast_to(100 - 2 * np.arange(20, dtype=np.float32)[:, None], (4000, 4, 20, 1))
        made = augmented([one], np.ascontiguousarray(x))
        values, low, high = (made[:, 0, 10, 0] - 80) / 2, -6, 6
    else:
        made = augmented([one], x)
        values = measure(x, made)
    assert values.min() >= low - 1e-4 and values.max() <= high + 1e-4
    counts, _ = np.histogram(values, 8, (low - 1e-4, high + 1e-4))
    # Five standard deviations of a count of 4000 in 8 boxes.
    assert abs(counts - 500).max() < 5 * np.sqrt(500 * 7 / 8)


def colour_reference(one, x, u):
    """Float64, cut to 0 to 255."""
    x = x.astype(np.float64)
    luma = (x @ [0.299, 0.587, 0.114])[..., np.newaxis]
    if isinstance(one, of.RandomBrightness):
        y = x + 255 * (0.6 * u[0] - 0.3)
    elif isinstance(one, of.RandomContrast):
        mean = x.mean(axis=(0, 1))
        y = (x - mean) * (0.6 + 0.7 * u[0]) + mean
    elif isinstance(one, of.RandomSaturation):
        part = 0.2 + 0.7 * u[0]
        y = luma + part / (1 - part) * (x - luma)
    elif isinstance(one, of.RandomHue):
        angle = np.pi * (0.3 * u[0]) * (-1 if u[1] > 0.5 else 1)
        to_yiq = [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
        around = np.eye(3)
        around[1:, 1:] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        y = x @ (np.linalg.inv(to_yiq) @ around @ to_yiq).T
    else:
        y = x + (0.5 * normals(u[np.newaxis])[0, :3] * one.deviations) @ one.components
    return np.clip(y, 0, 255)


COLOURS = [
    of.RandomBrightness(0.3),
    of.RandomContrast((0.4, 0.3)),
    of.RandomSaturation((0.2, 0.9)),
    of.RandomHue(0.3),
    of.PCAColor(0.5, [40.0, 20.0, 9.0], np.linalg.qr(np.arange(9.0).reshape(3, 3) + np.eye(3))[0]),
]


@pytest.mark.parametrize("one", COLOURS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_colours_are_those_of_the_documentation(one, dtype):
    x = images(40, dtype=dtype)
    made = augmented([of.RandomFlip(), one], x, seed=6, epoch=3)
    flat = of.Augment([of.RandomFlip()], seed=6).apply(x, np.arange(40), 3)
    u = uniforms(key(6, 3, 1), np.arange(40), one.draws)
    for i in range(40):
        expected = colour_reference(one, flat[i], u[i])
        # Float32 sums of four terms, of up to 9 (the saturation) times 255.
        np.testing.assert_allclose(made[i], expected, rtol=0, atol=9 * 255 * 8 * 2.0**-24)


def test_colours_compose_in_their_order():
    """Values that are cut nowhere: the composed map against one after the other."""
    x = (100 + images(30) / 8).astype(np.float32)
    mixing = of.RandomHue(0.3)
    steps = [of.RandomContrast(0.3), mixing, of.RandomBrightness(0.05), of.RandomContrast(0.2)]
    made = augmented(steps, x, seed=2)
    expected = x.astype(np.float64)
    for number, one in enumerate(steps):
        u = uniforms(key(2, 0, number), np.arange(30), one.draws)
        if one is mixing:
            expected = np.array(
                [colour_reference(one, image, row) for image, row in zip(expected, u, strict=True)]
            )
            continue
        colours = ColorMap(30, 3)
        one.change(colours, u)
        mean = expected.mean(axis=(1, 2), keepdims=True)
        kept = 0 if colours.mean is None else colours.mean[:, :, :, np.newaxis] * mean
        expected = colours.linear[..., np.newaxis] * expected + kept
        expected += colours.offset[:, np.newaxis, np.newaxis]
    np.testing.assert_allclose(made, expected, rtol=0, atol=255 * 16 * 2.0**-24)


def test_pca_finds_the_components_of_the_colours():
    generator = np.random.default_rng(9)
    directions = np.linalg.qr(generator.normal(size=(3, 3)))[0]
    x = 120 + (generator.normal(size=(600, 8, 8, 3)) * [30, 10, 2]) @ directions.T
    found = of.PCAColor().fit(x)
    np.testing.assert_allclose(found.deviations, [30, 10, 2], rtol=0.03)
    overlap = np.abs(np.sum(found.components * directions.T, axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-2)
    pixels = x.reshape(-1, 3)
    np.testing.assert_allclose(
        found.deviations**2, np.linalg.eigvalsh(np.cov(pixels.T, ddof=0))[::-1]
    )


FULL = [
    of.RandomCrop(12, 10, padding=2),
    of.RandomFlip(),
    of.RandomTranslation(0.1, 0.1),
    of.RandomRotation(0.1),
    of.RandomZoom(0.1),
    of.RandomShear(0.1, 0.1),
    *COLOURS,
    of.RandomGaussianBlur(kernel_size=5, sigma=(0.5, 2.0)),
    of.GaussianNoise((0, 9)),
    of.RandomErasing(),
    of.PerImageStandardization(),
]


def test_the_same_bits_for_any_split_and_any_thread():
    from concurrent.futures import ThreadPoolExecutor

    x, augment = images(), of.Augment(FULL, seed=3, scale=0.5, offset=[1, 2, 3])
    order = np.random.default_rng(1).permutation(400)
    whole = augment.apply(x, order, 5)
    for size in (1, 2, 3, 7, 64, 399):
        out = np.empty_like(whole)
        parts = [slice(start, start + size) for start in range(0, 400, size)]
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda p: augment.apply(x, order[p], 5, out[p]), parts))  # noqa: B023
        np.testing.assert_array_equal(out, whole)
    np.testing.assert_array_equal(augment.apply_batch(x[order], order, 5), whole)


def test_epochs_seeds_and_images_differ():
    x = np.repeat(images(1), 8, axis=0)
    augment = of.Augment([of.RandomRotation(0.3)])
    results = [*augment.apply(x, np.arange(8), 0), augment.apply(x, np.arange(1), 1)[0]]
    results.append(augment.with_seed(1).apply(x, np.arange(1), 0)[0])
    assert len({result.tobytes() for result in results}) == 10
    # The same augmentation at another place of the list draws other numbers.
    twice = of.Augment([of.RandomBrightness(0.1), of.RandomBrightness(0.1)])
    drawn = [u[0, 0] for u in twice._tables(np.arange(1), 0)]
    assert drawn[0] != drawn[1]


def test_configurations_make_the_same_again():
    augment = of.Augment(FULL, seed=8, scale=np.array([0.1, 0.2, 0.3]), offset=2.0)
    config = json.loads(json.dumps(augment.get_config()))
    again = of.Augment.from_config(config)
    assert again.get_config() == augment.get_config()
    x = images(10)
    made = augment.apply(x, np.arange(10), 1)
    np.testing.assert_array_equal(again.apply(x, np.arange(10), 1), made)
    every = [*FULL, of.ZCAWhitening(), of.CenterCrop(2, 2), of.ImageNetScaling("caffe")]
    assert {naming.snake_case(type(one).__name__) for one in every} == set(of.AUGMENTATIONS)
    assert repr(FULL[0]) == (
        "RandomCrop(height=12, width=10, padding=2, fill_mode=None, fill_value=0.0)"
    )


def test_lists_are_understood():
    described = {"class_name": "RandomZoom", "config": {"height_factor": 0.1}}
    augment = of.Augment(["random_flip", described, of.RandomErasing])
    kinds = [type(one) for one in augment.augmentations]
    assert kinds == [of.RandomFlip, of.RandomZoom, of.RandomErasing]


def test_scale_and_offset_come_last():
    x = images(20)
    for steps in (FULL[:4], FULL):
        plain = augmented(steps, x)
        scaled = augmented(steps, x, scale=0.5, offset=[1.0, 2.0, 3.0])
        np.testing.assert_array_equal(scaled, plain * np.float32(0.5) + np.float32([1, 2, 3]))


def test_output_shapes():
    assert of.Augment([of.RandomFlip(), of.RandomCrop(4, 5)]).output_shape((9, 9, 1)) == (4, 5, 1)
    assert augmented([of.RandomCrop(4, 5), of.RandomErasing()], images(3)).shape == (3, 4, 5, 3)
    assert augmented([], images(3)).shape == (3, 12, 10, 3)
    assert augmented(FULL, images(3)[:0]).shape == (0, 12, 10, 3)


def test_a_list_may_end_in_another_size():
    x = images(5)
    middle = x[:, 3:9, 2:8]
    found = augmented([of.CenterCrop(6, 6)], x)
    np.testing.assert_array_equal(found, middle)
    assert augmented([of.RandomFlip(), of.CenterCrop(14, 4)], x).shape == (5, 14, 4, 3)
    # What comes behind the crop sees what is left, and the scale comes last of all.
    config = {"class_name": "CenterCrop", "config": {"height": 6, "width": 6}}
    found = augmented([config, "per_image_standardization"], x, scale=2.0)
    expected = of.Augment(["per_image_standardization"]).apply(middle.copy(), np.arange(5), 0)
    np.testing.assert_array_equal(found, 2 * expected)


def grey(count=2):
    return images(count, (6, 6, 1))


REFUSALS = [
    (lambda: of.RandomFlip("sideways"), "mode of RandomFlip"),
    (lambda: of.RandomCrop(0, 4), "height must be a whole number of at least 1"),
    (lambda: of.RandomRotation(1.5), "factor must be a number from -1 to 1"),
    (lambda: of.RandomRotation((0.1, 0.2, 0.3)), "a number or a pair"),
    (lambda: of.RandomZoom(-1.0), "above -1"),
    (lambda: of.RandomZoom(0.1, fill_mode="mirror"), "fill_mode of RandomZoom"),
    (lambda: of.RandomShear(0.1, interpolation="cubic"), "interpolation of RandomShear"),
    (lambda: of.RandomBrightness(0.1, value_range=(1, 1)), "two different ends"),
    (lambda: of.RandomBrightness(0.1, value_range=3), "value_range must be a pair"),
    (lambda: of.RandomContrast((0.1,)), "a number or a pair"),
    (lambda: of.RandomContrast(1.5), "from 0 to 1"),
    (lambda: of.PCAColor(deviations=[1, 2, 3]), "together"),
    (lambda: of.PCAColor(deviations=[1, 2], components=np.eye(3)), r"shape \(3,\)"),
    (lambda: of.PCAColor().fit(grey()), "fit needs images"),
    (lambda: augmented([of.PCAColor()], images(2)), "call fit"),
    (lambda: augmented([of.RandomHue(0.1)], grey()), "must have 3 channels"),
    (lambda: augmented([of.RandomCrop(7, 7)], grey()), "must fit into the image"),
    (lambda: augmented([of.RandomErasing(fill_value=[1, 2])], images(2)), "fill_value must be one"),
    (lambda: of.Augment([of.RandomZoom(0.1), of.RandomShear(0.1, 0.1, "wrap")]), "agree on fill"),
    (
        lambda: of.Augment([of.RandomHue(0.1), of.RandomHue(0.1, value_range=(0, 1))]),
        "agree on value_range",
    ),
    (lambda: of.Augment(["random_flop"]), "Did you mean 'random_flip'"),
    (lambda: of.RandomFlip.from_config({"modus": 1}), "Did you mean 'mode'"),
    (lambda: of.Augment([]).apply(images(2)[0], np.arange(1), 0), "shape .H, W, C."),
    (lambda: of.Augment([]).apply_batch(images(2), np.arange(1), 0), "2 images need as many"),
    (
        lambda: of.Augment([]).apply(
            images(2), np.arange(2), 0, np.zeros((2, 5, 5, 3), np.float32)
        ),
        r"out must have the shape \(2, 12, 10, 3\)",
    ),
]


@pytest.mark.parametrize(("attempt", "words"), REFUSALS, ids=[words for _, words in REFUSALS])
def test_refusals(attempt, words):
    with pytest.raises(ValueError, match=words):
        attempt()


KEPT = {
    "RandomBrightness": lambda pair: of.RandomBrightness(pair, value_range=pair),
    "RandomContrast": of.RandomContrast,
    "RandomErasing": lambda pair: of.RandomErasing(1.0, scale=pair, fill_value=pair),
    "RandomRotation": of.RandomRotation,
    "RandomTranslation": lambda pair: of.RandomTranslation(pair, pair),
    "RandomZoom": lambda pair: of.RandomZoom(pair, pair),
    "RandomGaussianBlur": lambda pair: of.RandomGaussianBlur(pair, sigma=pair),
    "GaussianNoise": of.GaussianNoise,
}


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
@pytest.mark.parametrize("listed", [list, np.array])
def test_settings_do_not_follow_the_list_that_was_passed(make, listed):
    pair = listed([0.1, 0.2])
    augmentation = make(pair)
    before = augmentation.get_config()
    pair[0] = 0.15
    assert augmentation.get_config() == before
    assert type(augmentation).from_config(before).get_config() == before


@pytest.mark.parametrize("listed", [None, "random_flip", 3, of.RandomRotation(0.1)])
def test_augmentations_are_a_list(listed):
    with pytest.raises(TypeError, match=r"augmentations must be a list.* Received"):
        of.Augment(listed)


def test_an_array_without_a_dimension_is_no_pair():
    with pytest.raises(ValueError, match="must be a number or a pair"):
        of.RandomRotation(np.array(0.1))
