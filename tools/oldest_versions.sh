#!/bin/sh
# Runs tests with the oldest version of every dependency that pyproject.toml allows.
# Usage: tools/oldest_versions.sh [ROOM...]     default: the rooms below, which use all of them
# Needs uv, which resolves to the lowest versions, and Python 3.11 (or $PYTHON). Nothing is left here.
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- tests/models tests/serving tests/saving tests/layers tests/explain tests/cli
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
trap 'exit 130' INT TERM
extras="--extra caffe --extra onnx --extra safetensors --extra serve --extra sklearn"
# shellcheck disable=SC2086
uv pip compile --quiet --python-version 3.11 --resolution lowest-direct $extras pyproject.toml \
    --output-file "$place/oldest.txt"
uv venv --quiet --python "${PYTHON:-3.11}" "$place/venv"
uv build --quiet --wheel --python "$place/venv/bin/python" --out-dir "$place" .
uv pip install --quiet --python "$place/venv/bin/python" -r "$place/oldest.txt" "$place"/*.whl \
    pytest pytest-benchmark hypothesis httpx
grep -E '^[a-z]' "$place/oldest.txt"
# Old versions warn of what newer ones beside them will change: that is no mistake of ours.
"$place/venv/bin/python" -P -m pytest -q -p no:cacheprovider -W default "$@"
