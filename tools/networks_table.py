"""Write the table of the networks by name into docs/networks.md, between its two marks.

python tools/networks_table.py [FILE]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fastcnn import applications

FILE = Path(__file__).parents[1] / "docs" / "networks.md"
BEGIN, END = "<!-- table: made by tools/networks_table.py -->", "<!-- end of the table -->"
HEAD = "| name | paper | parameters, trained | all | multiply-adds | input |"


def row(name: str) -> str:
    """One network's line: nothing is allocated for it."""
    model = applications.NETWORKS[name]()
    every = sum(parameter.size for parameter in model.parameters)
    trained = sum(parameter.size for parameter in model.parameters if parameter.trainable)
    work = sum(layer.multiply_adds() for layer in model.layers)
    shape = " x ".join(map(str, model.input_shape))
    return f"| `{name}` | {paper(name)} | {trained:,} | {every:,} | {work:,} | {shape} |"


WITHOUT_PAPER = {
    "cifar-small": "Keras's examples",
    "photo-small": "fastcnn's own, for few photographs",
}


def paper(name: str) -> str:
    """Authors and year of a network's first reference, or where it comes from."""
    text = applications.NETWORKS[name].__doc__ or ""
    match = re.search(r"References:\n\s+(.+?, \d{4}):", text)
    return match[1] if match else WITHOUT_PAPER[name]


def table() -> str:
    """Return the table in Markdown."""
    rows = [row(name) for name in applications.NETWORKS]
    return "\n".join([HEAD, "| --- | --- | ---: | ---: | ---: | --- |", *rows])


def main(file: Path) -> None:
    """Put the table between the marks of a file."""
    text = file.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
