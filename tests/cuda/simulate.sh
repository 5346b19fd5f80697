#!/bin/sh
# Runs the conformance cases with the kernels of the GPU, simulated on the CPU behind the stand-in libraries, and what threads
# with a GPU each exchange; with the argument `differential` the random programs of tests/differential instead.
# Needs g++. What was compiled for it stays in target/stand-in/cache, where compile_kernels.sh finds it.
set -eu
cd "$(dirname "$0")/../.."
tests/cuda/stand-in/build.sh target/stand-in
export TAPEGRAD_CUDA_PATH="$PWD/target/stand-in" TAPEGRAD_CACHE="$PWD/target/stand-in/cache"
# Blocks of their exact size, so that the guard pages behind them are met.
export TAPEGRAD_CUDA_POOL=off CONFORMANCE_DEVICE=cuda
if [ $# = 0 ]; then
    SIM_DEVICES=4 cargo test --workspace --release --test job
fi
exec cargo test --workspace --release --test conformance "${@:-conformance}"
