"""A user's own Numba functions of one image: the host calls them, as all of a user's code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastcnn.kernels.call import Calls, HostArray
from fastcnn.kernels.cuda.nn.host_function import host_function


def user_function(
    calls: Calls,
    label: str,
    function: Any,
    arrays: Mapping[str, HostArray],
    on_host: Callable[[dict[str, np.ndarray]], None],
) -> None:
    """Emit a call of the host's for the whole batch.

    Args:
        calls: Where the call goes.
        label: Whose function it is.
        function: What `on_host` calls.
        arrays: Its arrays, in their order.
        on_host: Calls the function for each image.
    """
    host_function(calls, arrays, on_host)
