#!/bin/sh
# Proves tapegrad on this machine's GPU, from the programs that lie beside this file: prove.sh [OUTDIR] runs every
# step within its time, all of them within 8 minutes, and writes OUTDIR/report.md and the steps' full output. The
# exit code is 0 only where every step passed. Needs an NVIDIA driver, NVRTC, cuBLAS and cuSOLVER; with Python 3 it
# finds them among Python's packages too, and measures PyTorch, if that is installed, beside tapegrad.
set -u
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:-tapegrad-report}" || exit 2
out=$(cd "${1:-tapegrad-report}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=$here/programs
report=$out/report.md
start=$(date +%s)
# What is left after the tests belongs to the measurements; 20 seconds are for what has no limit of its own.
tests_end=$((start + 330))
end=$((start + 460))
deadline=$tests_end
mkdir "$work/rows" "$work/tails"
rm -f "$out/bench.md"

# Kernels are compiled for this run, and once for all of its steps.
export TAPEGRAD_CACHE="$work/cache" CONFORMANCE_DIR="$here/conformance" CONFORMANCE_DEVICE=cuda

python=$(command -v python3 || true)
if [ -n "$python" ]; then
    # The libraries that PyTorch brings along, so that both sides use the same.
    folders=$("$python" - 2>/dev/null <<'PYTHON'
import glob
import importlib.util
import os

spec = importlib.util.find_spec("nvidia")
places = list(spec.submodule_search_locations or []) if spec else []
print(":".join(f for p in places for f in sorted(glob.glob(os.path.join(p, "*", "lib")), key=lambda f: "cu13" not in f)))
PYTHON
    )
    if [ -n "$folders" ]; then
        export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folders"
    fi
fi

# The lines of a step's output that say what it found.
counts() {
    sed -n -e '/^test result: /{s/^test result: [A-Za-z]*\. //;s/ measured.*/ measured/;s/;/,/g;p;}' \
        -e '/^conformance on /p' -e 's/^=* *\(ERROR SUMMARY: .*\)/\1/p' -e '/^targets: /p' "$1" |
        tr '|\n' '/;' | sed -e 's/;$//' -e 's/;/; /g'
}

step() { # name, limit in seconds, command
    name=$1
    limit=$2
    shift 2
    left=$((deadline - $(date +%s)))
    [ "$limit" -le "$left" ] || limit=$left
    log=$out/$name.log
    begin=$(date +%s)
    if [ "$limit" -lt 5 ]; then
        echo 'not run: no time was left' >"$log"
        code=124
    else
        timeout -k 5 "$limit" "$@" >"$log" 2>&1
        code=$?
    fi
    took=$(($(date +%s) - begin))
    shown=$(echo "$*" | sed -e "s|$here/||g" -e "s|$out/||g" -e 's/|/ /g')
    result=passed
    if [ "$code" != 0 ]; then
        result="failed, exit code $code"
        case $code in 124 | 137) result="failed, out of time ($limit s)" ;; esac
        [ "$limit" -ge 5 ] || result='failed, no time was left'
        {
            printf '\n### %s\n\n```text\n' "$name"
            tail -n 60 "$log" | cut -c 1-400
            printf '```\n'
        } >"$work/tails/$name"
    fi
    echo "| $name | \`$shown\` | $took | $result | $(counts "$log") |" >"$work/rows/$name"
    echo "$name: $result, $took s" >&2
}

left_out() { # name, why
    echo "| $1 | | | left out | $2 |" >"$work/rows/$1"
    echo "$1: left out, $2" >&2
}

# The whole solver meets all four libraries; the loader notes where each came from.
step example 40 env LD_DEBUG=files LD_DEBUG_OUTPUT="$work/loader" \
    "$programs/least_squares" --device cuda --input "$here/diabetes.csv" --plot "$out/convergence.svg"
# Side by side: most of their time goes to compiling kernels, one at a time.
step conformance 240 "$programs/conformance" --test-threads=1 --exact conformance &
for tests in differentiation unit-autograd unit-linalg unit-tensor-core; do
    step "$tests" 240 "$programs/$tests" --test-threads=1 &
done
wait
step gpu 40 "$programs/gpu" --test-threads=1
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null)
if [ -n "$sanitizer" ]; then
    # Without the pool every block has its own bounds. Errors that calls return are what some tests are about.
    step sanitizer 60 env TAPEGRAD_CUDA_POOL=off "$sanitizer" --tool memcheck --report-api-errors no \
        --error-exitcode 9 "$programs/gpu" --test-threads=1 --skip no_driver
else
    left_out sanitizer 'compute-sanitizer is not installed'
fi

deadline=$end
for dtype in f32 f64; do
    step "speedup-$dtype" 20 "$programs/gpu_speedup" --dtype "$dtype"
done
left=$((end - $(date +%s)))
if [ -n "$python" ]; then
    step bench "$left" "$python" "$here/peers_gpu.py" "$programs/bench-gpu" \
        --seconds $((left > 30 ? left - 20 : 10)) --out "$out/bench.md"
else
    step bench "$left" "$programs/bench-gpu" --rounds 1
fi

# Whatever the libraries' own names are, these are the paths the loader took.
loaded() {
    cat "$work"/loader.* 2>/dev/null |
        sed -n 's/.*calling init: \(.*lib\(cuda\|nvrtc\|cublas\|cublasLt\|cufft\|cusolver\|cusparse\|nvJitLink\)\.so.*\)/\1/p' |
        sort -u | tr '\n' ' '
}
failed=$(ls "$work/tails" | wc -l)
if [ "$failed" = 0 ]; then verdict='every step passed'; else verdict="$failed steps failed"; fi
names='example conformance differentiation unit-autograd unit-linalg unit-tensor-core gpu sanitizer'
names="$names speedup-f32 speedup-f64 bench"
{
    echo '# tapegrad on a GPU'
    echo
    sed 's/^/- /' "$here/facts"
    echo "- date: $(date -u '+%Y-%m-%d %H:%M') UTC"
    if command -v nvidia-smi >/dev/null; then
        nvidia-smi --query-gpu=name,driver_version,memory.total,compute_cap --format=csv,noheader 2>&1
    else
        echo 'unknown: there is no nvidia-smi'
    fi | sed 's/^/- GPU: /'
    echo "- libraries: $(loaded)"
    echo "- Python: ${python:-none}; LD_LIBRARY_PATH: ${LD_LIBRARY_PATH:-not set}"
    echo "- system: $(uname -srm), $(nproc) cores"
    echo "- seconds: $(($(date +%s) - start))"
    echo "- result: $verdict"
    echo
    echo '| step | command | seconds | result | counts |'
    echo '| --- | --- | ---: | --- | --- |'
    for name in $names; do
        cat "$work/rows/$name"
    done
    if [ "$failed" != 0 ]; then
        printf '\n## What failed: the last lines of each\n'
        cat "$work"/tails/*
    fi
    for dtype in f32 f64; do
        printf '\n## CPU against GPU, %s\n\n```text\n' "$dtype"
        cat "$out/speedup-$dtype.log"
        printf '```\n'
    done
    printf '\n## Measured\n\n'
    if [ -s "$out/bench.md" ]; then
        cat "$out/bench.md"
    else
        printf '```text\n'
        tail -n 200 "$out/bench.log"
        printf '```\n'
    fi
} >"$report"
echo "$verdict: $report"
[ "$failed" = 0 ]
