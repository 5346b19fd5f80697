#!/bin/sh
# Installs NVRTC from PyPI beside the build and compiles every kernel in caches with it: see compile_kernels.py.
set -eu
cd "$(dirname "$0")/../.."
python=target/nvrtc/bin/python
[ -x "$python" ] || python3 -m venv target/nvrtc
"$python" -m pip install --quiet --disable-pip-version-check nvidia-cuda-nvrtc==13.0.88
exec "$python" tests/cuda/compile_kernels.py "$@"
