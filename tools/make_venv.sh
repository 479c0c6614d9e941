#!/bin/sh
# Make a virtual environment with a Python that can build and run fastcnn.
# Usage: make_venv.sh DIR     $PYTHON names the interpreter to use; without it one is looked for.
set -eu
venv=${1:?usage: make_venv.sh DIR}

# Prints nothing where the interpreter will do, and otherwise what it lacks.
lacks() {
    "$1" - 2>/dev/null <<'P' || echo "does not run"
import importlib.util, os, sys, sysconfig
header = os.path.join(sysconfig.get_path("include"), "Python.h")
if sys.version_info < (3, 11):
    print("is version %d.%d, older than 3.11" % sys.version_info[:2])
elif not importlib.util.find_spec("venv") or not importlib.util.find_spec("ensurepip"):
    print("lacks the venv module (Debian and Ubuntu: apt install python3-venv)")
elif not os.path.exists(header):
    print("lacks its C header Python.h (Debian and Ubuntu: apt install python3-dev)")
P
}

seen=
for python in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    command -v "$python" >/dev/null 2>&1 || { seen="$seen
  $python was not found"; continue; }
    reason=$(lacks "$python")
    if [ -z "$reason" ]; then
        echo "Making $venv with $(command -v "$python") ($("$python" -V))"
        "$python" -m venv "$venv"
        exit 0
    fi
    seen="$seen
  $python $reason"
done
echo "fastcnn needs Python 3.11 or newer, with the venv module and the C headers. Looked at:$seen
Install one of these, or name another: make demo PYTHON=/path/to/python3" >&2
exit 1
