#!/usr/bin/env bash
# Passes tensors between Python and Rust. Usage: dlpack.sh [LIBRARY], which is built where it is not given. PYTHON
# names an interpreter that has NumPy, and PyTorch where that is to be tested; without it, one with NumPy is set up.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ -z "${PYTHON:-}" ]; then
  venv=target/neighbours-venv
  PYTHON=$venv/bin/python
  if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    python3 -m venv "$venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check 'numpy>=2.1'
  fi
fi

library=${1:-}
if [ -z "$library" ]; then
  cargo build --quiet --release -p tapegrad-neighbours-dlpack
  library=${CARGO_TARGET_DIR:-target}/release/libtapegrad_neighbours_dlpack.so
fi
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" tests/neighbours/dlpack/test_dlpack.py "$library"
