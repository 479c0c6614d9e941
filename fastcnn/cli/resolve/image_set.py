"""The images of a data set, in the parts that a command uses."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastcnn.cli.options.errors import UsageError
from fastcnn.cli.resolve.image_subset import ImageSubset
from fastcnn.data.folder.splitting import NothingToHoldOut, split_source
from fastcnn.models.predictions import Kind
from fastcnn.utils.naming import printable

MOST_CLASSES = 1 << 20
SHARE = 0.1
"""How much of each class is held out where nothing is said and no image is set aside already."""


def refused(error: ValueError) -> UsageError:
    """What is wrong with a set or a share to hold out of it, in the words of the options."""
    words = str(error).replace("validation_split", "--validation-split")
    remedy = " --validation-split 0 holds none out." * isinstance(error, NothingToHoldOut)
    return UsageError(f"{words}{remedy}")


@dataclass(frozen=True)
class ImageSet:
    """Images to train on, those of them that are held out, and those to test with.

    class_names: the names of the classes, or those of labels or of numbers, as `kind` says.
    """

    name: str
    train: ImageSubset | None
    test: ImageSubset | None
    class_names: list[str] | None
    validation: ImageSubset | None = None
    kind: Kind = "classes"

    @property
    def outputs(self) -> int:
        """How many numbers a model gives for an image."""
        return self.classes if self.kind == "classes" else int(self.parts[-1].labels.shape[1])

    @property
    def parts(self) -> list[ImageSubset]:
        """Those that there are."""
        return [part for part in (self.train, self.validation, self.test) if part is not None]

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels) of an image."""
        return self.parts[-1].shape

    @property
    def raw(self) -> bool:
        """Whether the images are pixel values, 0 to 255."""
        return self.parts[-1].dtype == np.uint8

    @property
    def classes(self) -> int:
        """How many classes there are."""
        if self.class_names is not None:
            return len(self.class_names)
        if self.kind != "classes":
            return self.outputs
        return int(max(part.labels.max(initial=0) for part in self.parts)) + 1

    @property
    def names(self) -> list[str]:
        """The names of the classes by label, their numbers where they have none; UsageError where
        labels are too large to be those of classes."""
        if self.class_names is not None:
            return self.class_names
        if self.classes > MOST_CLASSES:
            raise UsageError(
                f"The labels of '{self.name}' must be below {MOST_CLASSES:,}. "
                f"Received {self.classes - 1:,}."
            )
        return [str(label) for label in range(self.classes)]

    def refuse_outputs(self, owner: str) -> None:
        """UsageError, in the name of `owner`, unless there are classes."""
        if self.kind != "classes":
            raise UsageError(
                f"{owner}: '{self.name}' must tell classes apart. It is of "
                f"{'labels' if self.kind == 'labels' else 'numbers'}, for `fastcnn train`, "
                "`evaluate` and `predict`."
            )

    def refuse_single_class(self) -> None:
        """UsageError where there is one class alone."""
        if self.classes == 1:
            raise UsageError(
                f"'{self.name}' has one class alone, '{printable(self.names[0])}': there is "
                "nothing to tell it from. Name data of more; of pictures the folder that holds the "
                "folders of all classes."
            )

    @property
    def to_train(self) -> ImageSubset:
        """The images to train on; UsageError where there are none."""
        if self.train is None:
            raise UsageError(f"'{self.name}' must hold x_train and y_train to train on.")
        return self.train

    def measured(self) -> tuple[str, ImageSubset]:
        """The images that tell how good a model is, and their kind: "test" images where there are
        some, else those held out for "validation", else those of the "training"."""
        kinds = {"test": self.test, "validation": self.validation, "training": self.train}
        return next((kind, part) for kind, part in kinds.items() if part is not None)

    def held_out(self, share: float, seed: int) -> ImageSet:
        """The set with a share of each class of its training images held out, drawn by `seed`."""
        part = self.to_train
        if not share:
            return self
        try:
            is_class = self.kind == "classes"
            strata = part.labels if is_class else np.zeros(len(part), np.int32)
            train, held = split_source(part.dataset, strata, share, seed)
        except ValueError as error:
            raise refused(error) from None
        return replace(self, train=part.part(train), validation=part.part(held))

    def validated_on(self, held: ImageSubset, names: list[str], owner: str) -> ImageSet:
        """The set with other images to validate on, whose classes are `names`; UsageError, in the
        name of `owner`, where they have one that is not to be learned."""
        if self.class_names is not None:
            try:
                held = held.called(names, self.class_names, f"The images to validate on, '{owner}'")
            except ValueError as error:
                raise UsageError(str(error)) from None
        return replace(self, validation=held)

    def by_names(self, names: list[str] | None) -> ImageSet:
        """The set with its classes counted as a model does that calls them `names`."""
        if names is None or self.class_names is None or names == self.class_names:
            return self
        try:
            parts = {
                kind: part and part.called(self.class_names, names, f"The data '{self.name}'")
                for kind, part in vars(self).items()
                if kind in ("train", "test", "validation")
            }
        except ValueError as error:
            raise UsageError(str(error)) from None
        return replace(self, class_names=names, **parts)
