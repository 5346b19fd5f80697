#!/bin/sh
# Makes random programs beside PyTorch and replays them. Needs Python 3 with venv, or DIFFERENTIAL_PYTHON, an
# interpreter that has PyTorch already. Usage: run.sh [COUNT [SEED [further options of generate.py]]]
set -eu
cd "$(dirname "$0")/../.."
count=${1:-1000}
seed=${2:-$(date +%s)}
[ $# -lt 2 ] || shift
[ $# -lt 1 ] || shift
work="${CARGO_TARGET_DIR:-$PWD/target}/differential"
mkdir -p "$work"
python=${DIFFERENTIAL_PYTHON:-}
if [ -z "$python" ]; then
  python="$work/venv/bin/python"
  [ -x "$python" ] || python3 -m venv "$work/venv"
  "$python" -m pip install --quiet --disable-pip-version-check --requirement tests/differential/requirements.txt
fi
PYTHONDONTWRITEBYTECODE=1 "$python" tests/differential/generate.py "$work/programs.json" \
  --count "$count" --seed "$seed" "$@"
DIFFERENTIAL_CASES="$work/programs.json" cargo test --workspace --release --test conformance differential
