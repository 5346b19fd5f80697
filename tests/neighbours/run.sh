#!/bin/sh
# Python's NumPy and safetensors read what this library writes, and it reads what they write; PyTorch too, where it can
# be imported. Needs Python 3 with venv, or NEIGHBOURS_PYTHON, an interpreter that has NumPy and safetensors already.
set -eu
cd "$(dirname "$0")/../.."
work="${CARGO_TARGET_DIR:-target}/neighbours"
python=${NEIGHBOURS_PYTHON:-}
if [ -z "$python" ]; then
  python="$work/venv/bin/python"
  [ -x "$python" ] || python3 -m venv "$work/venv"
  "$python" -m pip install --quiet --requirement tests/neighbours/requirements.txt
fi
rust() { cargo run --quiet --profile "${NEIGHBOURS_PROFILE:-release}" --package tapegrad-neighbours -- "$@"; }

rm -rf "$work/files"
mkdir -p "$work/files/back"
"$python" tests/neighbours/files.py make "$work/files"
rust files "$work/files"
"$python" tests/neighbours/files.py check "$work/files"
