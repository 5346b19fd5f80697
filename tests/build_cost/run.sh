#!/usr/bin/env bash
# What a user's program compiles of the library's kernels. They should lie compiled in the library; each that is generic
# over a user's closure is compiled in every program again, for every width of vectors.
#
#   run.sh         counts them in the objects of src/main.rs, and fails where there are more wide ones than below
#   run.sh times   how long three programs take to build after a change of their own
#
# Needs cargo, nm (binutils) and Python 3.
set -euo pipefail

allowed_wide=0

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
# Of cargo's own setting, what is relative is seen from where the caller is.
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
export CARGO_TARGET_DIR=$target
cd "$here"

if [ "${1:-}" = times ]; then
  # The versions that the workspace has, so that what it has built is taken.
  cp "$root/Cargo.lock" Cargo.lock
  seconds() { # label, source, folder of the package, arguments for cargo
    local label=$1 source=$2 folder=$3 began
    shift 3
    (cd "$folder" && cargo build --release --quiet "$@")
    touch "$source"
    began=$(date +%s.%N)
    (cd "$folder" && cargo build --release --quiet "$@")
    python3 -c "import sys; print(f'{sys.argv[1]:40} {float(sys.argv[3]) - float(sys.argv[2]):6.1f} s')" \
      "$label" "$began" "$(date +%s.%N)"
  }
  seconds "README's ten lines" src/readme.rs "$here" --bin readme
  seconds 'Rosenbrock and a perceptron as well' src/main.rs "$here" --bin first-programs
  seconds 'examples/least_squares' "$root/examples/least_squares/main.rs" "$root" --example least_squares
  exit
fi

work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

# The library as the example links it, which .ci/run has built: nothing is compiled for this but src/main.rs.
library=$(cd "$root" && cargo build --release --example least_squares --message-format=json | python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["reason"] == "compiler-artifact" and message["target"]["name"] == "tapegrad":
        print(*(name for name in message["filenames"] if name.endswith(".rlib")))')
# As cargo calls it for a release, but for the objects, which stay.
rustc --edition 2024 --crate-name first_programs -C opt-level=3 -C embed-bitcode=no -C save-temps --out-dir "$work" \
  --extern "tapegrad=$library" -L "dependency=$target/release/deps" src/main.rs
"$work/first_programs"

nm -C -S --defined-only "$work"/*.rcgu.o | python3 -c '
import re, sys

allowed = int(sys.argv[1])
LIBRARY = r"(tensor_core|autograd|linalg|tapegrad)::"
KERNEL = r"tensor_core::cpu::"
WIDE = r"tensor_core::.*::(avx|neon|sve)"
groups = {"all": "", "of the library": LIBRARY, "its kernels": KERNEL, "wide ones among them": WIDE}
found = {label: [0, 0] for label in groups}
for line in sys.stdin:
    # Address, size, kind, name: functions are text, or weak.
    fields = re.fullmatch(r"[0-9a-f]+ ([0-9a-f]+) [tTwW] (.+)", line.strip())
    if not fields:
        continue
    # The function of a type or trait is <T as ..>::name, and that of any type, which a trait has, <K as ..>::name.
    name = re.sub(r"^\w+ as ", "", fields[2].lstrip("<&( ").removeprefix("mut "))
    for label, pattern in groups.items():
        if re.match(pattern, name):
            found[label][0] += 1
            found[label][1] += int(fields[1], 16)

print("functions of the program: how many, and their bytes")
for label, (count, size) in found.items():
    print(f"  {label:26} {count:6} {size / 1000:10.1f} kB")
if not found["of the library"][0]:
    sys.exit("none of the library: are its names written in another way?")
wide = found["wide ones among them"][0]
if wide > allowed:
    sys.exit(f"{wide} wide kernels are compiled in the program, and {allowed} are allowed")
' "$allowed_wide"
