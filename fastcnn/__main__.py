"""`python -m fastcnn` is the command `fastcnn`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from fastcnn.cli import main
    except KeyboardInterrupt:
        sys.exit("fastcnn: interrupted.")
    sys.exit(main())
