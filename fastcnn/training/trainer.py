"""Training, evaluation and prediction: the methods of a model that go over batches."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray

from fastcnn.callbacks.callback import Callback, CallbackList, Logs
from fastcnn.callbacks.history import History
from fastcnn.graph.inspection import Inspection
from fastcnn.graph.program import Buffer, Program
from fastcnn.losses import Loss
from fastcnn.strategies import timing_cache
from fastcnn.training import adversarial as adversarial_training
from fastcnn.training import (
    among_ranks,
    augment_argument,
    data_adapter,
    fit_notes,
    fit_warnings,
    input_checks,
    prediction,
    progress,
    test_time_augmentation,
)
from fastcnn.training.adversarial import AdversarialTraining
from fastcnn.training.batch_trainer import BatchTrainer, Values, answer
from fastcnn.training.fit_loop import Fit, Plan, test_pass
from fastcnn.training.prediction import USUAL_BATCH
from fastcnn.training.steps_per_epoch import shortened, step_count, validation_epochs
from fastcnn.utils import arguments


class Trainer(BatchTrainer):
    """A model, as far as it goes over batches; a class of it says how it becomes programs."""

    @abstractmethod
    def program_and_roles(
        self, kind: str, images: int = 32, loss: Loss | None = None
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program for "train", "test" or "predict" and its buffers by role."""

    @abstractmethod
    def inspection_program(
        self, inspection: Inspection, images: int
    ) -> tuple[Program, dict[str, Buffer]]:
        """Return the program that ends in what is asked for, and its buffers by role."""

    @among_ranks.together(usual="auto")
    def fit(
        self,
        x: object,
        y: object = None,
        batch_size: int = USUAL_BATCH,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: object = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | str | None = None,
        sample_weight: object = None,
        initial_epoch: int = 0,
        tune: bool = False,
        augment: object = None,
        sampling: str | None = None,
        workers: int | None = None,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_freq: int | Collection[int] = 1,
        keep_features: bool = True,
        adversarial: AdversarialTraining | float | None = None,
        distributed: str | None = "auto",
    ) -> History:
        """Train the model, up to epoch number `epochs`.

        What is random in an epoch, the order and the augmentation, depends on `seed`, the epoch's
        number and the images' alone, so that a training resumed with initial_epoch=model.epoch
        repeats. Ctrl-C ends the training after the running step and keeps the epoch's record; a
        second one raises.

        Args:
            x: Images, uint8 or float32, with y beside them; or, with y left out, a
                `fastcnn.data.Dataset`, a map-style data set of (image, label) as PyTorch's, or an
                iterable of batches (x, y) or (x, y, weights) as tf.data's, which keeps its own
                order and batch sizes. What such sources give is copied, and they are told of
                epochs: `on_epoch_begin()`, `on_epoch_end()` and, of PyTorch's samplers,
                `set_epoch(epoch)` are called where they have them.
            y: Labels from 0, or targets of the outputs' shape, as the loss takes them.
            batch_size: Images of a step.
            epochs: The number of the last epoch, counted from 1.
            verbose: "auto", 0 (nothing), 1 (a bar) or 2 (a line an epoch).
            callbacks: One `Callback`, or a list of them.
            validation_split: The fraction of x to evaluate after each epoch. Of arrays the last
                images are held out, as Keras does. Of a Dataset, which may be sorted by class, a
                share of each class is, of two images one at least: those that
                `from_folder(validation_split=..., seed=model.seed)` holds out, chosen by the names
                of their files, or else by their positions.
            validation_data: What to evaluate instead: (x, y), (x, y, weights) or any of the
                sources above. Where a Dataset has class_names in another order than the model or
                the training set, its labels are counted as they do.
            shuffle: Whether each epoch has an order of its own.
            class_weight: A weight by label, or "balanced" for one by how rare the class is.
            sample_weight: A weight for each image.
            initial_epoch: How many epochs count as done.
            tune: Time the strategies of the model's convolutions first, where that was not done
                before; Ctrl-C then ends it before the first epoch.
            augment: Augmentations of `fastcnn.data`, for the batches of training alone: random
                ones of each image, MixUp and CutMix of a batch (several: one a batch, by chance),
                and fixed steps, which stand last and join `preprocessing`; or an Augment. Of a
                PCAColor or ZCAWhitening that is not fitted, a copy is, to the training images
                alone. (A Normalization that begins the model without statistics is given theirs,
                too.) Where images get another size, as by RandomCrop, `preprocessing` begins with
                a CenterCrop, so that validation and predict see the middle.
            sampling: "balanced" draws every class equally often in each epoch, so that images of
                rare classes come several times and some of others not at all.
            workers: Threads that prepare batches ahead of the step (0: none; None: one, where
                images are more than gathered); the bits are the same for any.
            steps_per_epoch: Batches of an epoch, which begins where the last one ended. Where the
                data run out it is shorter, with a warning, and the next one begins anew, as in
                Keras (with a generator the training ends).
            validation_steps: Batches of the validation data that are taken.
            validation_freq: How many epochs pass between validations, or the epochs, counted from
                1, to validate after; values that an epoch lacks are NaN in the history.
            keep_features: Whether what frozen layers at the beginning make of an image is kept from
                epoch to epoch, in up to a quarter of the free memory, where nothing random stands
                before or between them: no `augment`, no dropout, and images of arrays, folders and
                packed files, or of a Dataset that is `deterministic`. The bits are the same.
            adversarial: How images are attacked before the model learns from them, an
                `AdversarialTraining`, or its epsilon; what the training's logs tell is of them.
            distributed: Whether the processes that mpirun or srun started train the model together,
                each a share of every batch, with the same bits as one process: "auto" where there
                are several, "mpi", or None for this one alone; "mpi-fast" lets the MPI library sum
                the gradients, with bits that depend on the number of ranks
                (docs/several-machines.md).

        Returns:
            The history: `history` by name, a value an epoch.

        Raises:
            ValueError: Where an argument is not what it should be, or the data do not fit the
                model; nothing has changed then.
            NonFiniteError: Where a loss or gradient is no longer finite, with `.epoch` and `.step`
                (from 0) and `.history`; the model keeps the weights from before that step.

        Shape:
            x [n, *input_shape]; y [n] for sparse losses, else [n, *output_shape].
        """
        input_checks.compiled(self, "fit", training=True)
        progress.check_verbose(verbose)
        among_ranks.check_arguments(self, tune, adversarial)
        verbose = among_ranks.verbosity(self, verbose)
        plan = Plan(
            batch_size=arguments.whole("fit", "batch_size", batch_size, least=1),
            epochs=arguments.whole("fit", "epochs", epochs, least=1),
            first=arguments.whole("fit", "initial_epoch", initial_epoch, least=0),
            shuffle=arguments.flag("fit", "shuffle", shuffle),
            verbose=verbose,
            validation_freq=validation_epochs(validation_freq),
        )
        steps = step_count("steps_per_epoch", steps_per_epoch)
        measured = step_count("validation_steps", validation_steps)
        fit_arguments = data_adapter.FitArguments(
            x=x,
            y=y,
            validation_split=validation_split,
            validation_data=validation_data,
            sample_weight=sample_weight,
            class_weight=class_weight,
            augment=augment,
            sampling=sampling,
            workers=None
            if workers is None
            else arguments.whole("fit", "workers", workers, least=0, most=arguments.MOST_WORKERS),
            epochs=plan.epochs - plan.first,
            steps=steps,
            validation_steps=measured,
            keep_features=arguments.flag("fit", "keep_features", keep_features)
            and self.session is None,
            adversarial=adversarial,
        )
        if adversarial is not None:
            adversarial_training.check_gradient(self.inspection_program)
        fit_data = data_adapter.make(self, fit_arguments)
        called = input_checks.callbacks(callbacks)
        asked = replace(plan, verbose=0), steps, measured
        among_ranks.agree(self, fit_data.train, fit_data.validation, asked, called)
        callback_list = CallbackList(among_ranks.called_here(self, called))
        fit_warnings.before_training(self, fit_data.train, fit_data.validation)
        images = fit_data.train.largest(plan.batch_size) or plan.batch_size
        if arguments.flag("fit", "tune", tune):
            from fastcnn.autotune import tuner  # of which few trainings make use

            report = tuner.tune(self, images)
            progress.make(verbose).note(report.sentence)
            if report.interrupted:
                history = History()
                history.interrupted = True
                return history
        if verbose and timing_cache.any_known():
            fit_notes.tell_measured(self, images, self.error_bound, verbose)
        if verbose:
            fit_notes.tell_kept(self, fit_data.train, verbose)
        augment_argument.hand_over(fit_data.statistics)
        self.preprocessing = fit_data.preprocessing
        if self.class_names is None:
            self.class_names = fit_data.class_names
        if fit_data.decoder is not None:
            self.decoder = fit_data.decoder
        train, size = shortened(fit_data.train, steps, plan.batch_size), plan.batch_size
        validation = shortened(fit_data.validation, measured, size, validates=True)
        plan = replace(plan, attack=fit_data.attack)
        return Fit(self, train, validation, plan, callback_list).run()

    @overload
    def evaluate(
        self,
        x: object,
        y: object = None,
        batch_size: int = USUAL_BATCH,
        verbose: str | int = 0,
        sample_weight: object = None,
        *,
        return_dict: Literal[True],
        workers: int | None = None,
        distributed: str | None = None,
        augment: object = None,
        passes: int | None = None,
    ) -> Logs: ...

    @overload
    def evaluate(
        self,
        x: object,
        y: object = None,
        batch_size: int = USUAL_BATCH,
        verbose: str | int = 0,
        sample_weight: object = None,
        return_dict: bool = False,
        workers: int | None = None,
        distributed: str | None = None,
        augment: object = None,
        passes: int | None = None,
    ) -> Values: ...

    @among_ranks.together(usual=None)
    def evaluate(
        self,
        x: object,
        y: object = None,
        batch_size: int = USUAL_BATCH,
        verbose: str | int = 0,
        sample_weight: object = None,
        return_dict: bool = False,
        workers: int | None = None,
        distributed: str | None = None,
        augment: object = None,
        passes: int | None = None,
    ) -> Logs | Values:
        """Return the loss and the metrics of the model at inference.

        Args:
            x: What `fit` takes.
            y: As in `fit`.
            batch_size: Images that go through the model at once.
            verbose: 0 (nothing), 1 (a bar), 2 (a line) or "auto".
            sample_weight: A weight for each image.
            return_dict: Return the values by name.
            workers: Threads that prepare batches ahead.
            distributed: As in `fit`, where all ranks call this: each measures its share, and has
                all results. None lets this process measure by itself.
            augment: As in `predict`: loss and metrics are those of the averaged outputs.
            passes: As in `predict`.

        Returns:
            [loss, *metrics]; the loss alone where the model has no metrics; or a dictionary.

        Raises:
            ValueError: Where the model is not compiled or the data do not fit it.

        Shape:
            x [n, *input_shape]; y [n] for sparse losses, else [n, *output_shape].
        """
        input_checks.compiled(self, "evaluate")
        progress.check_verbose(verbose)
        size = arguments.whole("evaluate", "batch_size", batch_size, least=1)
        views = augment, passes
        epochs = test_time_augmentation.of_evaluation(self, x, y, sample_weight, workers, *views)
        among_ranks.agree(self, None, epochs, (size,))
        verbose = among_ranks.verbosity(self, verbose)
        shown = progress.make(verbose)
        shown.begin("Evaluation", epochs.count)
        start = time.perf_counter()
        try:
            logs = test_pass(self, epochs, size, shown, CallbackList(()))
            seconds = time.perf_counter() - start
            rate = (epochs.count or 0) / max(seconds, 1e-9)
            shown.end(progress.line("Evaluation", seconds, rate, logs))
        finally:
            shown.close()
        return answer(logs, return_dict)

    @among_ranks.together(usual=None)
    def predict(
        self,
        x: object,
        batch_size: int = USUAL_BATCH,
        augment: object = None,
        passes: int | None = None,
        distributed: str | None = None,
    ) -> NDArray[np.float32]:
        """Return the model's outputs for images.

        Args:
            x: Images, or any other source that `fit` takes; labels in it are not looked at. Or
                pictures: a path, a picture of Pillow's, or a list of such, which are decoded and
                resized as in training (`decoder`); a folder stands for
                `fastcnn.data.picture_files(folder)`.
            batch_size: Images that go through the model at once.
            augment: Test-time augmentation, of single images, as `fit` takes it. The first pass
                sees them as they are, each further one as drawn by `seed` and their place in x;
                flips take turns. Outputs are averaged; of logits, the probabilities.
            passes: How many; None for 8, or for the 2 or 4 ways of a flip that stands alone.
            distributed: As in `evaluate`: each rank predicts its share, and has all outputs, with
                the bits of one process.

        Returns:
            The outputs, a fresh array.

        Raises:
            ValueError: Where the images do not fit the model, or a picture cannot be read, which
                the message names.
            FileNotFoundError: Where there is no file of a path.

        Shape:
            x [n, *input_shape] -> float32 [n, *output_shape].
        """
        size = arguments.whole("predict", "batch_size", batch_size, least=1)
        x = data_adapter.adapted(self, x, "predict: x", labelled=False)
        if test_time_augmentation.is_wanted(augment, passes, "predict"):
            return test_time_augmentation.outputs(self, x, size, augment, passes)
        return prediction.outputs(self, x, size)
