"""Augmentations of the user's own, image by image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastcnn.data.augment.effects import Effect, Floats, Indices
from fastcnn.data.counter_rng import Doubles
from fastcnn.utils import custom_objects, user_code


class CustomAugmentation(Effect):
    """An augmentation of your own: derive a class that has `image`, or use a function by itself.

    `augment=[function]` stands for one whose `image` is function(image, rng). It acts behind those
    that move pixels, change colours, blur, add noise and erase, in the order of the list. What
    `rng` draws depends on seed, epoch and the image's place in the set alone: any batch size and
    any number of threads give the same. Several threads may call it at once.

    Raises:
        TypeError: The class lacks the method.

    Shape:
        image float32 [H, W, C], in the range of the pixels as they come, and so what is returned.
    """

    @user_code.needed("which returns an image of the same shape")
    def image(self, image: Floats, rng: np.random.Generator) -> Any:
        """Return an image that is changed; a derived class defines it.

        Args:
            image: The image, which may be written to.
            rng: Draws what is random.

        Shape:
            float32 [H, W, C] -> [H, W, C].
        """

    def change(self, images: Floats, u: Doubles, indices: Indices, pixel_key: int) -> None:
        for image, index in zip(images, indices, strict=True):
            numbers = np.array([pixel_key, index], np.uint64)
            rng = np.random.Generator(np.random.Philox(key=numbers))
            image[...] = self._changed(image, rng)

    def _changed(self, image: Floats, rng: np.random.Generator) -> npt.NDArray[Any]:
        label, method = f"The augmentation {type(self).__name__}", "image"
        with user_code.named(label, method):
            value: object = self.image(image, rng)
        return user_code.returned(label, method, value, image.shape)


class FunctionAugmentation(CustomAugmentation):
    """A function of an image and a random generator as an augmentation.

    Args:
        function: function(image, rng) returns an image of the same shape.

    Raises:
        TypeError: It takes other arguments.
    """

    def __init__(self, function: Callable[[Floats, np.random.Generator], Any]) -> None:
        super().__init__()
        name = getattr(function, "__name__", "function")
        user_code.check_takes(f"The augmentation {name}", "its function", function, "image", "rng")
        self.function = function

    def image(self, image: Floats, rng: np.random.Generator) -> Any:
        return self.function(image, rng)

    def get_config(self) -> dict[str, object]:
        return {"function": custom_objects.name_of(self.function)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionAugmentation:
        return cls(custom_objects.function_of("augmentation", config["function"]))

    def __repr__(self) -> str:
        return f"FunctionAugmentation({getattr(self.function, '__name__', self.function)!r})"
