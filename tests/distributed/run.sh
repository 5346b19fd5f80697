#!/usr/bin/env bash
# The tests of crates/distributed on 1 to 4 processes of MPI, also with simulated GPUs, what happens to a job when one of them goes
# wrong, the example over TCP between hosts, and the error where MPI is missing. Installs MPI on Debian where it is not there.
set -euo pipefail
cd "$(dirname "$0")/../.."

if ! command -v mpicc >/dev/null || ! command -v mpirun >/dev/null || ! ls /usr/lib/llvm-*/lib/libclang* >/dev/null 2>&1; then
  sudo=$(command -v sudo || true)
  $sudo apt-get update -qq && $sudo apt-get install -y -qq libopenmpi-dev openmpi-bin libclang-dev
fi

# As many processes as are asked for, whatever the machine, and also by root in a container.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_vader_single_copy_mechanism=none RAYON_NUM_THREADS=1

build() {
  cargo build --workspace --release --features tapegrad-distributed/mpi "$@" --message-format=json \
    | python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == sys.argv[1]:
        print(message["executable"])' "${@: -1}"
}

job=$(build --test job)
example=$(build --example data_parallel)
larger=$(build --example larger_than_memory)

# `job` MPI's arguments: whatever hangs is ended, and that is a failure.
limited() { timeout --kill-after=10 "$@"; }

for processes in 1 2 3 4; do
  limited 300 mpirun -n "$processes" "$job"
done
# A launcher that the program does not know of: a group of one.
limited 300 "$job" >/dev/null

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The same where each process has a simulated GPU, with the stand-in NCCL and without.
tests/cuda/stand-in/build.sh target/stand-in
simulated=(TAPEGRAD_CUDA_PATH="$PWD/target/stand-in" TAPEGRAD_CACHE="$PWD/target/stand-in/cache" TAPEGRAD_CUDA_POOL=off
  SIM_DEVICES=4 TMPDIR="$work")
for nccl in on off; do
  for processes in 2 3; do
    env "${simulated[@]}" TAPEGRAD_NCCL=$nccl timeout --kill-after=10 300 mpirun -n $processes "$job"
  done
done

# `faulty` FAULT PROCESSES TEXT..: the job ends in time, not with success, and says this.
faulty() {
  local fault=$1 processes=$2 code=0
  shift 2
  limited 60 mpirun -n "$processes" "$job" "--fault=$fault" >"$work/said" 2>&1 || code=$?
  if [ "$code" -eq 0 ] || [ "$code" -ge 124 ] && [ "$code" -ne 134 ]; then
    echo "a job with the fault $fault ended with $code:" >&2; cat "$work/said" >&2; exit 1
  fi
  for text in "$@"; do
    grep -qF "$text" "$work/said" || { echo "the fault $fault does not say: $text" >&2; cat "$work/said" >&2; exit 1; }
  done
  echo "fault $fault: the job ended with $code"
}
faulty late 3 'rank 2 did not come to all_reduce within the time limit of 2s'
faulty absent 2 'did not come to recv within the time limit of 2s'
faulty alone 2 'rank 1 did not come to send_recv within the time limit of 2s'
(export "${simulated[@]}" SIM_NCCL_SILENT=1
  faulty silent 2 'rank 1 did not come to all_reduce within the time limit of 2s')
faulty dies 3
faulty panics 3 'this rank has a bug'
faulty returns 3 'this rank has no data'

# Three processes that reach each other over TCP alone, each on a host of its own where namespaces can be made.
hosts() {
  local here
  here=$(dirname "$0")
  if limited 300 bash "$here/hosts.sh" "$example" --rows 3000 --cols 20 --no-plot; then return; fi
  echo 'no network namespaces: three processes over TCP on the loopback addresses'
  limited 300 mpirun -n 3 --mca btl tcp,self --mca btl_tcp_if_include lo "$example" --rows 3000 --cols 20 --no-plot
}
hosts
limited 300 mpirun -n 2 "$example" --rows 2000 --cols 20 --plot "$work/processes.svg" --times "$work/times.csv"
test -s "$work/times.csv"

# A file of 1.2 GB, a third of it as address space, and less memory than that.
"$larger" make "$work/a.npy" "$work/y.npy" --rows 1500000 --cols 100
(ulimit -v 400000; MALLOC_ARENA_MAX=1 limited 300 "$larger" solve "$work/a.npy" "$work/y.npy" --steps 10)
rm "$work/a.npy" "$work/y.npy"

# Where MPI is missing, the build script names the packages. It is run by itself: cargo stops at the first script that fails, which
# may be that of mpi-sys.
mkdir "$work/bin"
rustc --edition 2024 crates/distributed/build.rs -o "$work/look"
env PATH="$work/bin" CARGO_FEATURE_MPI=1 "$work/look" >"$work/said"
grep -q 'cargo::error=.*libopenmpi-dev, openmpi-bin and libclang-dev' "$work/said"
test -z "$(CARGO_FEATURE_MPI=1 "$work/look" | grep cargo::error)"
echo 'without MPI: the packages are named'
