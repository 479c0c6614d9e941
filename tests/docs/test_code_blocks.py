"""What a page's tests read of it, and what they notice."""

from __future__ import annotations

import commands
import pytest
from code_blocks import Block, blocks
from test_pages import is_shown

PAGE = """# Title

<!-- test: setup
a = 1
-->

```python title="net.py"
b = a

c = b
```

Text.

=== "Keras"

    <!-- test: compile -->
    ```python
    if a:
        b = 2
    ```

<!-- test: run -->

```sh
fastcnn info
```

<!-- test: parse -->

Text.

```
unmarked
```
"""


def test_blocks_are_read_with_their_marks():
    assert list(blocks(PAGE)) == [
        Block(3, "python", "", "setup", "a = 1\n"),
        Block(7, "python", "net.py", "", "b = a\n\nc = b\n"),
        Block(18, "python", "", "compile", "if a:\n    b = 2\n"),
        Block(25, "sh", "", "run", "fastcnn info\n"),
        Block(33, "", "", "", "unmarked\n"),
    ]


def test_command_lines_are_joined_and_have_no_comments():
    text = "make demo  # why\n\n# alone\nfastcnn train \\\n    --data 'a b'\n"
    assert commands.command_lines(text) == [
        ["make", "demo"],
        ["fastcnn", "train", "--data", "a b"],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "make dmeo",
        ".venv/bin/fastcnn train --epoch-s 3",
        "fastcnn trian",
        "pip install fastcnn[plus]",
        "pip install torch",
        "python examples/nothing.py",
        "python -m pytest tests/nowhere",
        "ls",
    ],
)
def test_a_command_that_names_what_is_not_there_is_noticed(line, capsys):
    with pytest.raises((AssertionError, OSError, SystemExit)):
        commands.check(commands.command_lines(line)[0])


@pytest.mark.parametrize(
    "line",
    [
        "make demo EPOCHS=3",
        "NUMBA_NUM_THREADS=2 .venv/bin/fastcnn train --epochs 3",
        "pip install -e '.[onnx,safetensors]'",
        "python examples/quickstart.py",
        "python -P -m pytest tests/layers",
    ],
)
def test_a_command_that_names_what_is_there_passes(line):
    commands.check(commands.command_lines(line)[0])


def test_output_is_compared_line_by_line():
    said = ["a  1", "b 2", "c 3"]
    assert is_shown(said, ["a  1", "...", "c 3"])
    assert not is_shown(said, ["c 3", "a  1"])
    assert not is_shown(said, ["b 3"])
