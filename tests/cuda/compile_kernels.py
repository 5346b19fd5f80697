#!/usr/bin/env python3
"""Compiles kernels with NVRTC for sm_80 and sm_90, without a GPU, and refuses those that spill registers, and
elementwise kernels that do not load 16 bytes at a time.

    compile_kernels.py CACHE...

Each CACHE is a folder in which tests kept what they compiled (TAPEGRAD_CACHE): its files hold the sources.
Needs the package nvidia-cuda-nvrtc from PyPI in the Python that runs this; compile_kernels.sh sees to that.
"""

import ctypes
import glob
import multiprocessing
import os
import re
import site
import struct
import sys

ARCHITECTURES = ["sm_80", "sm_90"]
# As crates/tensor-core/src/cuda/compile.rs, and the log of what each kernel takes.
OPTIONS = ["--std=c++17", "-lineinfo", "--fmad=true"]
MAGIC = b"tapegrad cuda 1\n"


def sources(folders):
    """The texts of the programs in caches: see crates/tensor-core/src/cuda/program_cache.rs."""
    found = set()
    for path in [path for folder in folders for path in glob.glob(os.path.join(folder, "*.cubin"))]:
        with open(path, "rb") as file:
            data = file.read()
        if not data.startswith(MAGIC):
            sys.exit(f"{path} is not a program of this version's cache")
        recipe, text, _ = struct.unpack_from("<3Q", data, len(MAGIC))
        start = len(MAGIC) + 24 + recipe
        found.add(data[start : start + text])
    return sorted(found)


def nvrtc():
    for packages in [*site.getsitepackages(), site.getusersitepackages()]:
        folder = os.path.join(packages, "nvidia", "cu13", "lib")
        for library in sorted(glob.glob(os.path.join(folder, "libnvrtc.so.*"))):
            for builtins in glob.glob(os.path.join(folder, "libnvrtc-builtins.so.*")):
                ctypes.CDLL(builtins, mode=ctypes.RTLD_GLOBAL)
            return ctypes.CDLL(library)
    sys.exit("no NVRTC: pip install nvidia-cuda-nvrtc==13.0.88")


def program_of(text, architecture, options):
    """Compiles a source: whether it failed, the log, and PTX where the architecture is one of PTX."""
    library, program = nvrtc(), ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels.cu", 0, None, None)
    options = [o.encode() for o in [f"--gpu-architecture={architecture}", *OPTIONS, *options]]
    failed = library.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))

    def content(size_of, get):
        size = ctypes.c_size_t()
        if size_of(program, ctypes.byref(size)) != 0:
            return ""
        out = ctypes.create_string_buffer(size.value)
        get(program, out)
        return out.value.decode()

    log = content(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog)
    ptx = content(library.nvrtcGetPTXSize, library.nvrtcGetPTX) if architecture.startswith("compute_") else ""
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return failed != 0, log, ptx


def compiled(job):
    """What is wrong with a source on an architecture, or None; and the number of its kernels."""
    text, architecture = job
    if architecture.startswith("compute_"):
        failed, log, ptx = program_of(text, architecture, [])
        wide = re.search(r"ld\.global\.(nc\.)?v[24]\.\w?(32|64)", ptx)
        return (None if wide else f"{architecture}: no loads of 16 bytes\n{log}"), 0
    failed, log, _ = program_of(text, architecture, ["--ptxas-options=-v"])
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    wrong = failed or not spills or any(s != ("0", "0") for s in spills)
    return (f"{architecture}: {log}" if wrong else None), len(spills)


def elementwise(texts):
    """Some of the elementwise programs whose first operand is of numbers: they differ in their formulas alone."""
    return [t for t in texts if b"KERNEL(rows" in t and re.search(rb"typedef (float|double|i64) X0;", t)][::8]


def main():
    texts = sources(sys.argv[1:])
    if not texts:
        sys.exit("no programs: run the tests of the kernels first, and name their caches")
    jobs = [(text, architecture) for text in texts for architecture in ARCHITECTURES]
    jobs += [(text, "compute_80") for text in elementwise(texts)]
    with multiprocessing.Pool() as pool:
        results = pool.map(compiled, jobs, chunksize=8)
    for wrong, _ in results:
        if wrong:
            print(wrong)
    failures = sum(wrong is not None for wrong, _ in results)
    kernels = sum(kernels for _, kernels in results)
    print(f"{len(texts)} programs, {kernels} kernels for {' and '.join(ARCHITECTURES)}: {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
