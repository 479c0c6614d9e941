#!/bin/sh
# Runs tests with the oldest version of every dependency that pyproject.toml allows.
# Usage: tools/oldest_versions.sh [ROOM...]     default: the rooms below, which use all of them
# Needs a Python that the oldest versions have wheels for: 3.11, or $PYTHON. Nothing is left here.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- tests/models tests/serving tests/saving tests/interop tests/layers tests/explain tests/cli \
    tests/training/test_experiment_logs.py
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
PYTHON="${PYTHON:-python3.11}" sh tools/make_venv.sh "$place/venv"
python="$place/venv/bin/python"
"$python" - "$place" <<'P'
import re, sys, tomllib
from pathlib import Path

EXTRAS = ("caffe", "onnx", "safetensors", "serve", "sklearn", "tensorboard")

settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
project = settings["project"]
optional = [name for extra in EXTRAS for name in project["optional-dependencies"][extra]]
for file, wanted in (
    ("build.txt", settings["build-system"]["requires"]),
    ("oldest.txt", project["dependencies"] + optional),
):
    floors = [re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups() for requirement in wanted]
    Path(sys.argv[1], file).write_text("".join(f"{name}=={floor}\n" for name, floor in floors))
P
pip() { "$python" -m pip --quiet --disable-pip-version-check "$@"; }
cat "$place/build.txt" "$place/oldest.txt"
pip install -r "$place/build.txt"
pip wheel --no-deps --no-build-isolation --wheel-dir "$place" .
pip install -r "$place/oldest.txt" "$place"/*.whl pytest pytest-benchmark hypothesis httpx pandas
failed=0
for room; do  # each by itself: files of several rooms have the same name
    # Old versions warn of what newer ones beside them will change: that is no mistake of ours.
    "$python" -P -m pytest -q -p no:cacheprovider -W default "$room" || failed=1
done
exit $failed
