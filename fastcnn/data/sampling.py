"""Which images an epoch visits, and in what order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

# Draws for different ends come from different parts of the stream of one (seed, epoch).
ORDER, CLASSES, MIXING = range(3)


def draws(seed: int, epoch: int, end: int, number: int, count: int) -> NDArray[np.uint64]:
    """Return random words, uint64, that (seed, epoch, end, number) alone decide.

    Args:
        seed: Of the training.
        epoch: The number of the epoch, from 0.
        end: What they are for: ORDER, CLASSES or MIXING.
        number: Tells apart what is drawn for it.
        count: How many.
    """
    words: NDArray[np.uint64] = generator(seed, epoch, end, number).random_raw(count)
    return words


def generator(seed: int, epoch: int, end: int, number: int) -> np.random.Philox:
    """Return the source of random words that (seed, epoch, end, number) alone decide.

    NumPy fixes this stream for ever, so runs repeat under any version.

    Args:
        seed: Of the training.
        epoch: The number of the epoch, from 0.
        end: What it is for: ORDER, CLASSES or MIXING.
        number: Tells apart what is drawn for it.
    """
    key = np.array([int(seed) & (2**64 - 1), epoch], np.uint64)
    return np.random.Philox(key=key, counter=np.array([0, 0, number, end], np.uint64))


def uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return random words as numbers above 0 and below 1, float64.

    Args:
        words: uint64.
    """
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def shuffled(seed: int, epoch: int, count: int) -> Indices:
    """Return the order of an epoch: a permutation of 0 to count - 1 that (seed, epoch) alone
    decide.

    Args:
        seed: Of the training.
        epoch: The number of the epoch, from 0.
        count: How many images.
    """
    return np.argsort(draws(seed, epoch, ORDER, 0, count), kind="stable")


def balanced(seed: int, epoch: int, classes: NDArray[np.int64]) -> Indices:
    """Return an order of as many visits as there are images, in which every class comes equally
    often.

    Of a class with more images than its share, some are left out in this epoch; of a class with
    fewer, all come, some once more often than others. Which, and the order, (seed, epoch) alone
    decide. Shares differ by one where n is no multiple of the number of classes that occur.

    Args:
        seed: Of the training.
        epoch: The number of the epoch, from 0.
        classes: The class of each image, int64 [n].
    """
    count = len(classes)
    present = np.unique(classes)
    chance = draws(seed, epoch, CLASSES, 0, len(present))
    shares = np.full(len(present), count // len(present))
    shares[np.argsort(chance, kind="stable")[: count % len(present)]] += 1
    chosen = []
    for number, (label, share) in enumerate(zip(present, shares, strict=True), 1):
        members = np.flatnonzero(classes == label)
        rounds = -(-share // len(members))
        words = draws(seed, epoch, CLASSES, number, rounds * len(members))
        turns = words.reshape(rounds, len(members)).argsort(axis=1, kind="stable")
        chosen.append(members[turns].reshape(-1)[:share])
    return np.concatenate(chosen)[shuffled(seed, epoch, count)]


def repeats(order: Indices, count: int) -> Indices:
    """Return how often each entry of the order stood in it before, int64 like it.

    Args:
        order: Numbers of images, int64 [n].
        count: Above every entry.
    """
    before = np.zeros(len(order), np.int64)
    if len(order) and np.bincount(order, minlength=count).max() > 1:
        places = np.argsort(order, kind="stable")
        sorted_order = order[places]
        begins = np.flatnonzero(np.diff(sorted_order, prepend=-1))
        lengths = np.diff(begins, append=len(order))
        before[places] = np.arange(len(order)) - np.repeat(begins, lengths)
    return before
