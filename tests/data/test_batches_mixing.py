"""Mixing within a batch, balanced sampling, and the random streams that both draw from."""

from __future__ import annotations

import numpy as np
import pytest

from fastcnn.data.augment.mixing import CutMix, Draws, MixUp, mix
from fastcnn.data.sampling import balanced, draws, repeats, shuffled, uniform

COUNT = 64
X = np.random.default_rng(0).random((COUNT, 6, 8, 3), np.float32)
# Each image's own target: shows with whom, and in what share, it was mixed.
Y = np.eye(COUNT, dtype=np.float32)


def mixed(mixings, x=X, y=Y, weight=None, seed=1, epoch=2, batch=3):
    x = x.copy()
    return x, *mix(mixings, x, y, weight, Draws(seed, epoch, batch))


def partners_of(y):
    """The partner of each image by its target, itself where it has none, and its own share."""
    own = y.diagonal()
    others = np.where(np.eye(COUNT, dtype=bool), 0, y)
    partner = np.where(others.any(axis=1), others.argmax(axis=1), np.arange(COUNT))
    return partner, own


def test_mixup_mixes_images_as_it_mixes_targets():
    x, y, weight = mixed([MixUp(1.0)])
    partner, own = partners_of(y)
    assert weight is None and y.dtype == x.dtype == np.float32
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-6)
    assert (partner != np.arange(COUNT)).sum() > COUNT / 2
    share = own[:, None, None, None].astype(np.float64)
    # Two float32 products and a sum of values below 1.
    np.testing.assert_allclose(x, share * X + (1 - share) * X[partner], atol=3e-7)


def test_cutmix_takes_a_rectangle_whose_area_is_the_share():
    x, y, _ = mixed([CutMix()])
    partner, own = partners_of(y)
    sizes = set()
    for i in range(COUNT):
        if partner[i] == i:
            continue
        taken = (x[i] == X[partner[i]]).all(axis=-1)
        kept = (x[i] == X[i]).all(axis=-1)
        assert (taken ^ kept).all()
        rows, columns = np.flatnonzero(taken.any(axis=1)), np.flatnonzero(taken.any(axis=0))
        assert (
            taken.sum()
            == len(rows) * len(columns)
            == np.ptp(rows) * np.ptp(columns) + (np.ptp(rows) + np.ptp(columns) + 1)
        )
        assert own[i] == np.float32(1 - taken.sum() / 48)
        sizes.add(int(taken.sum()))
    assert len(sizes) > 5


def test_mixing_repeats_and_depends_on_seed_epoch_and_batch():
    first = mixed([MixUp(), CutMix()])
    again = mixed([MixUp(), CutMix()])
    assert all(np.array_equal(a, b) for a, b in zip(first[:2], again[:2], strict=True))
    for change in ({"seed": 2}, {"epoch": 3}, {"batch": 4}):
        assert not np.array_equal(mixed([MixUp(1.0)], **change)[1], mixed([MixUp(1.0)])[1])


def test_of_several_mixings_each_batch_takes_one():
    taken = [np.isin(mixed([MixUp(1.0), CutMix()], batch=n)[0], X).all() for n in range(200)]
    # Binomial(200, 1/2): 60 to 140 is beyond 5 sigma.
    assert 60 < sum(taken) < 140


def test_weights_are_mixed_so_that_the_loss_is():
    """For a loss that is linear in the targets, weight * loss is mixed as the images are."""
    weight = np.linspace(0, 3, COUNT, dtype=np.float32)
    _, y, mixed_weight = mixed([MixUp(1.0)], weight=weight)
    _, plain, _ = mixed([MixUp(1.0)])
    partner, own = partners_of(plain)
    losses = np.random.default_rng(5).random(COUNT)
    expected = own * weight * losses + (1 - own) * weight[partner] * losses[partner]
    np.testing.assert_allclose(mixed_weight * (y @ losses), expected, rtol=1e-5)


def test_weights_of_zero_stay_finite():
    _, y, weight = mixed([CutMix()], weight=np.zeros(COUNT, np.float32))
    assert not weight.any() and np.isfinite(y).all()


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0])
def test_shares_have_the_moments_of_the_beta_distribution(alpha):
    found = Draws(0, 0, 0).beta(alpha, 40_000)
    assert found.min() >= 0 and found.max() <= 1
    # Standard errors below 0.0025; the variance of Beta(a, a) is 1 / (4 (2a + 1)).
    assert found.mean() == pytest.approx(0.5, abs=0.0125)
    assert found.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), abs=0.0125)


@pytest.mark.parametrize("value", [0, 1.5, -1, "0.2", True])
def test_wrong_shares_are_refused(value):
    for kind, name in ((MixUp, "alpha"), (CutMix, "factor")):
        with pytest.raises((ValueError, TypeError), match=f"{kind.__name__}: {name} must be"):
            kind(value)


def test_a_share_above_the_most_is_told_both_limits():
    with pytest.raises(ValueError, match=r"above 0 and at most 1\. Received 2"):
        MixUp(2)


def test_mixings_are_described():
    assert MixUp(0.3).get_config() == {"alpha": 0.3}
    assert repr(CutMix.from_config({"factor": 0.5})) == "CutMix(factor=0.5)"


CLASSES = np.array([0] * 90 + [1] * 9 + [4] * 3)


@pytest.mark.parametrize("count", [102, 101, 97, 2])
def test_balanced_draws_every_class_equally_often(count):
    classes = np.random.default_rng(0).permutation(CLASSES)[:count]
    order = balanced(0, 0, classes)
    assert len(order) == count and order.dtype == np.int64
    occurring = np.unique(classes)
    drawn = np.array([(classes[order] == label).sum() for label in occurring])
    assert drawn.max() - drawn.min() <= 1
    for label in occurring:
        visits = np.bincount(order, minlength=count)[classes == label]
        assert visits.max() - visits.min() <= 1


def test_balanced_orders_repeat_and_differ_by_epoch():
    assert np.array_equal(balanced(1, 2, CLASSES), balanced(1, 2, CLASSES))
    assert not np.array_equal(balanced(1, 2, CLASSES), balanced(1, 3, CLASSES))
    left_out = [set(range(90)) - set(balanced(0, epoch, CLASSES)) for epoch in (0, 1)]
    assert left_out[0] != left_out[1]
    # Not class by class.
    assert (np.diff(CLASSES[balanced(0, 0, CLASSES)]) != 0).sum() > 40


def test_streams_of_different_ends_differ():
    words = [draws(1, 2, end, number, 4).tolist() for end in range(3) for number in range(3)]
    assert len({tuple(one) for one in words}) == 9
    assert shuffled(3, 2, 8).tolist() == np.argsort(draws(3, 2, 0, 0, 8)).tolist()
    assert 0 < uniform(np.zeros(1, np.uint64))[0] < uniform(np.full(1, 2**64 - 1, np.uint64))[0] < 1


def test_repeats_count_what_came_before():
    assert repeats(np.array([3, 1, 3, 0, 3, 1]), 4).tolist() == [0, 0, 1, 0, 2, 1]
    assert repeats(np.array([2, 0, 1]), 3).tolist() == [0, 0, 0]
    assert repeats(np.zeros(0, np.int64), 3).tolist() == []
