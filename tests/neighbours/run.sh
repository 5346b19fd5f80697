#!/bin/sh
# Python's NumPy and safetensors read what this library writes, and it reads what they write; NumPy's memory goes in and
# comes out by DLPack without copying. PyTorch too, where it can be imported. Needs Python 3 with venv, or
# NEIGHBOURS_PYTHON, an interpreter that has NumPy and safetensors already. Usage: run.sh [built]
set -eu
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-target}"
work="$target/neighbours"
python=${NEIGHBOURS_PYTHON:-}
if [ -z "$python" ]; then
  python="$work/venv/bin/python"
  [ -x "$python" ] || python3 -m venv "$work/venv"
  "$python" -m pip install --quiet --disable-pip-version-check --requirement tests/neighbours/requirements.txt
fi
export PYTHONDONTWRITEBYTECODE=1
# After the workspace's tests, which have built it.
[ "${1:-}" = built ] || cargo build --quiet --release --package tapegrad-neighbours --example tapegrad-neighbours

rm -rf "$work/files"
mkdir -p "$work/files/back"
"$python" tests/neighbours/files.py make "$work/files"
"$target/release/examples/tapegrad-neighbours" files "$work/files"
"$python" tests/neighbours/files.py check "$work/files"

"$python" tests/neighbours/dlpack.py "$target/release/deps/libtapegrad_neighbours.so"
