"""Trains for three epochs, or for the last one of them; and nets drawn at random, a step each.

Arguments: a folder for results, one for checkpoints, and "whole" or "resumed".
"""

import sys
from pathlib import Path

import a_training

import fastcnn
from fastcnn import callbacks, data


class Batches:
    """An iterable of batches of two sizes, and of a single image."""

    def __iter__(self):
        for first, end in ((0, 40), (40, 64), (64, 65)):
            yield x[first:end].astype("float32"), y[first:end]


def streamed():
    """A digest of what training and evaluation make of an iterable."""
    network = a_training.model()
    history = network.fit(Batches(), validation_data=Batches(), epochs=2, verbose=0).history
    outputs = network.predict(Batches(), distributed="auto")
    return a_training.digest(network.state.values, history, outputs)


results, folder, resumed = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "resumed"
path = folder / "{epoch}.h5"
network = fastcnn.load(folder / "2.h5") if resumed else a_training.model()
history = a_training.fit(network, callbacks=[callbacks.ModelCheckpoint(path)])
x, y = a_training.images()
nets = [a_training.drawn_net(number) for number in range(0 if resumed else a_training.DRAWN)]
a_training.tell(
    results,
    weights=a_training.state_of(network),
    history=history.history,
    evaluated=network.evaluate(x, y, distributed="auto"),
    alone=network.evaluate(x, y),
    outputs=a_training.digest(
        network.predict(x, distributed="auto"),
        network.predict(x[:70], augment=data.RandomFlip(), distributed="auto"),
    ),
    outputs_alone=a_training.digest(
        network.predict(x), network.predict(x[:70], augment=data.RandomFlip())
    ),
    streamed=None if resumed else streamed(),
    drawn=[[a_training.state_of(net), history] for net, history in nets],
)
