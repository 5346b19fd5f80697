#!/bin/sh
# Packs what proves the GPU for a machine that has one, and neither Rust nor a network: pack.sh OUTDIR builds the
# test programs, the bench and the examples, and writes OUTDIR/tapegrad-prove.tar.gz. There:
#
#     tar xf tapegrad-prove.tar.gz && tapegrad-prove/prove.sh
#
# Needs, here, Rust, Python 3, and the C++ compiler without which the tests of the kernels are left out.
set -eu
limit=$((60 << 20))
[ $# = 1 ] || { echo "usage: pack.sh OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/../../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bundle=$work/tapegrad-prove
mkdir -p "$bundle/programs" "$bundle/conformance"

# One choice of packages for both calls, so that they share what is built.
packages='-p tapegrad -p tapegrad-tensor-core -p tapegrad-autograd -p tapegrad-linalg -p tapegrad-cuda-tests'
common="--release --locked --features tapegrad/cuda --message-format=json-render-diagnostics $packages"
cargo test --no-run $common --lib --test conformance --test differentiation --test gpu >"$work/built"
cargo build $common --example gpu_speedup --example least_squares --bench gpu >>"$work/built"

# A line for each program: its name in the package, and where it is.
python3 - "$work/built" >"$work/programs" <<'PYTHON'
import json
import sys

NAMES = {
    ("lib", "tensor_core"): "unit-tensor-core",
    ("lib", "autograd"): "unit-autograd",
    ("lib", "linalg"): "unit-linalg",
    ("test", "conformance"): "conformance",
    ("test", "differentiation"): "differentiation",
    ("test", "gpu"): "gpu",
    ("bench", "gpu"): "bench-gpu",
    ("example", "gpu_speedup"): "gpu_speedup",
    ("example", "least_squares"): "least_squares",
}
found = {}
for line in open(sys.argv[1], encoding="utf-8"):
    message = json.loads(line)
    if message["reason"] == "compiler-artifact" and message["executable"]:
        target = message["target"]
        if name := NAMES.get((target["kind"][0], target["name"])):
            found[name] = message["executable"]
if missing := set(NAMES.values()) - set(found):
    sys.exit(f"cargo built no {', '.join(sorted(missing))}")
for name, path in found.items():
    print(name, path)
PYTHON

while read -r name path; do
    to=$bundle/programs/$name
    if command -v strip >/dev/null; then
        strip -s -o "$to" "$path"
    elif command -v objcopy >/dev/null; then
        objcopy --strip-all "$path" "$to"
    else
        cp "$path" "$to"
    fi
    chmod 755 "$to"
done <"$work/programs"
"$bundle/programs/gpu" --list | grep '^memory::' >/dev/null ||
    { echo "the tests of the kernels were not built: a C++ compiler is needed" >&2; exit 1; }

cp tests/conformance/*.json "$bundle/conformance"
cp tests/cuda/prove/prove.sh benches/peers/peers_gpu.py examples/data/diabetes.csv "$bundle"
chmod 755 "$bundle/prove.sh"
{
    echo "commit: $(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)"
    echo "built: $(date -u +%Y-%m-%d), $(rustc -V), for $(rustc -vV | sed -n 's/^host: //p')"
} >"$bundle/facts"

package=$out/tapegrad-prove.tar.gz
tar cf - -C "$work" tapegrad-prove | gzip -9 >"$package"
size=$(wc -c <"$package")
if [ "$size" -gt "$limit" ]; then
    rm "$package"
    echo "the package takes $size bytes: more than $limit" >&2
    exit 1
fi
cat "$bundle/facts"
(cd "$bundle/programs" && wc -c *)
echo "$package: $size bytes"
