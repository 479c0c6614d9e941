"""The earlier name of `fastcnn.applications`, kept for one release."""

from fastcnn.applications import *  # noqa: F403
