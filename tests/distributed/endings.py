"""A training of two ranks that ends in its second epoch.

Arguments: how, "early", "killed", "error" or "interrupted", and the folder of its checkpoints.
"""

import os
import signal
import sys
import time
from pathlib import Path

import a_training

from fastcnn import callbacks

ending, folder = sys.argv[1], Path(sys.argv[2])
rank = int(os.environ["PMI_RANK"])
if ending == "early" and rank == 1:
    raise OSError("rank 1 has no data")


class End(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and rank == 1 and ending == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if epoch == 1 and rank == 1 and ending == "error":
            raise OSError("the disk of rank 1 is gone")
        if epoch == 1 and rank == 0 and ending == "interrupted":
            (folder / "second epoch").touch()

    def on_train_batch_begin(self, batch, logs=None):
        if ending == "interrupted":
            time.sleep(0.01)


network = a_training.model()
history = a_training.fit(
    network, epochs=10_000, callbacks=[callbacks.ModelCheckpoint(folder / "last.h5"), End()]
)
a_training.tell(
    folder,
    interrupted=history.interrupted,
    epoch=network.epoch,
    weights=a_training.state_of(network),
)
