#!/usr/bin/env bash
# Passes tensors between Python and Rust. Usage: dlpack.sh [PROFILE]; PYTHON names an interpreter that has NumPy, and
# PyTorch where that is to be tested; without it, one with NumPy is set up.
set -euo pipefail
cd "$(dirname "$0")/../.."

profile=${1:-release}
target=${CARGO_TARGET_DIR:-target}
case "$profile" in
  dev) folder=debug ;;
  *) folder=$profile ;;
esac

if [ -z "${PYTHON:-}" ]; then
  venv=target/neighbours-venv
  PYTHON=$venv/bin/python
  if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    python3 -m venv "$venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check 'numpy>=2.1'
  fi
fi

cargo build --quiet --profile "$profile" -p tapegrad-neighbours-dlpack
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" tests/neighbours/dlpack/test_dlpack.py \
  "$target/$folder/libtapegrad_neighbours_dlpack.so"
