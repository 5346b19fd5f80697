#!/bin/sh
# Builds the stand-in libraries: build.sh OUTDIR, or build.sh --selftest OUTDIR to run their own test too.
# Does nothing when OUTDIR is newer than the sources; two may run at once. Needs g++ with C++17, or $CXX.
set -eu
selftest=
if [ "${1:-}" = --selftest ]; then
    selftest=yes
    shift
fi
[ $# = 1 ] || { echo "usage: build.sh [--selftest] OUTDIR" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
cxx=${CXX:-g++}
common="-std=c++17 -fPIC -Wall -Wextra -fvisibility=hidden"
# Of kernels: wrapping integers as on a GPU, and traps for what faults or is undefined there.
kernel="-std=c++17 -O1 -fPIC -fwrapv -fno-strict-aliasing -fno-gnu-unique -fvisibility=hidden \
-fsanitize=alignment,bounds,shift -fsanitize-undefined-trap-on-error -fdiagnostics-color=never"

current() {
    [ -e "$out/built" ] && [ "$(cat "$out/built")" = "$cxx" ] &&
        [ -z "$(find "$here" -maxdepth 1 \( -name '*.cpp' -o -name '*.h' -o -name build.sh \) -newer "$out/built")" ]
}

library() { # name, optimisation, sources and link flags
    name=$1
    shift
    $cxx $common -shared -Wl,-soname,"$name" -DSTAND_IN_KERNEL_FLAGS="\"$kernel\"" -o "$new/$name" "$@"
}

if ! current; then
    new=$(mktemp -d "$out/build-XXXXXX")
    trap 'rm -rf "$new"' EXIT
    touch "$new/built.time" # sources that change from here on are newer
    cp "$here/kernel.h" "$here/state.h" "$new"
    cd "$here"
    {
        $cxx $kernel -x c++-header "$new/kernel.h" -o "$new/kernel.h.gch"
        library libnvrtc.so -O1 nvrtc.cpp -ldl
    } &
    library libcuda.so -O2 driver.cpp streams.cpp modules.cpp memory.cpp fibers.cpp faults.cpp -ldl -pthread
    library libcublas.so -O2 cublas.cpp "$new/libcuda.so" '-Wl,-rpath,$ORIGIN'
    library libcufft.so -O2 cufft.cpp "$new/libcuda.so" '-Wl,-rpath,$ORIGIN'
    library libcusolver.so -O1 cusolver.cpp "$new/libcuda.so" '-Wl,-rpath,$ORIGIN'
    library libnccl.so.2 -O1 nccl.cpp "$new/libcuda.so" '-Wl,-rpath,$ORIGIN'
    wait $!
    # The header goes before what is compiled from it, the mark of completion last.
    for f in state.h kernel.h kernel.h.gch libcuda.so libnvrtc.so libcublas.so libcufft.so libcusolver.so libnccl.so.2; do
        mv -f "$new/$f" "$out/$f"
    done
    echo "$cxx" >"$new/built"
    touch -r "$new/built.time" "$new/built"
    mv -f "$new/built" "$out/built"
    rm -rf "$new"
    trap - EXIT
fi

if [ -n "$selftest" ]; then
    $cxx -std=c++17 -O1 -Wall -Wextra -pthread -o "$out/selftest" "$here/selftest.cpp" -ldl
    "$out/selftest" "$out"
fi
