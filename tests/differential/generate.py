"""Makes random programs and what PyTorch says of them, as a file that tests/conformance.rs replays: see README.md."""

import argparse
import json
import os
import random
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy
import torch

from builder import Builder
from operations import load
from program import Rejected, checksum, numbers, shortened

OPERATIONS = load()
REFERENCE = {name: operation.reference for name, operation in OPERATIONS.items()}
NAMES = sorted(OPERATIONS)
# Without a slope: fewer of them, so that loss and inputs have more to do with each other.
FLAT = set(
    "all any arange argmax argmin argsort bincount bucketize ceil count_nonzero eq eye floor floor_divide full "
    "full_like ge geomspace gt histc histogram isclose isfinite isin isinf isnan le linspace logical_and "
    "logical_not logical_or logical_xor logspace lt matrix_rank ne nonzero one_hot round searchsorted sign "
    "spectral_projector to_float trunc unique unique_consecutive unique_counts unique_inverse".split()
)
USUAL = NAMES + 2 * [name for name in NAMES if name not in FLAT]
EPSILON = {"f64": 2.0**-52, "f32": 2.0**-23}


def draw(seed, index, size, only=None):
    """Program number `index`; the first of its operations goes round, so that none is forgotten."""
    first = only[index % len(only)] if only else NAMES[index % len(NAMES)]
    for attempt in range(200):
        torch.set_default_dtype(torch.float64)
        rng = random.Random(f"{seed}/{index}/{attempt}/{size}")
        builder = Builder(OPERATIONS, rng, f"{seed}-{index}", "f32" if rng.random() < 0.15 else "f64", size)
        try:
            for _ in range(rng.randint(1, 2)):
                builder.fresh(builder.shape(1))
            for _ in range(rng.randint(0, 2)):
                grow(builder, USUAL)
            if not any(grow(builder, [first]) for _ in range(5)):
                continue
            length = rng.randint(3, 10)
            for _ in range(4 * length):
                if len(builder.steps) >= length:
                    break
                grow(builder, USUAL)
            used_later(builder)
            if first in [step[0] for step in builder.steps]:
                return written(builder.finish())
        except Rejected:
            pass
    raise SystemExit(f"no program {index} with a step of {first}")


def grow(builder, names):
    """Tries one more step; whatever it made on the way goes with it."""
    name = builder.rng.choice(names)
    before = len(builder.values), len(builder.inputs), len(builder.steps), set(builder.used)
    try:
        operands, args = OPERATIONS[name].propose(builder)
        builder.step(name, operands, args)
        return True
    except Rejected:
        values, inputs, steps, builder.used = before
        del builder.values[values:], builder.inputs[inputs:], builder.steps[steps:]
        return False


def used_later(builder):
    """Truth values and places that nothing took become numbers."""
    inputs = {n for n, _ in builder.inputs}
    for n, v in enumerate(list(builder.values)):
        if not v.is_floating_point() and n not in builder.used and n not in inputs and builder.flag():
            builder.step("to_float", {"input": n}, {})


def written(program):
    """The program as JSON, with tolerances that its own condition gives."""
    inputs = program.inputs
    exact = program.derivatives(REFERENCE, inputs)
    want, scales = exact.vectors(len(inputs)), exact.scales()
    if not all(bool(v.isfinite().all()) for v in want) or max(scales) > 1e5:
        raise Rejected("not finite, or too large")
    if largest(want[1]) < 1e-3:
        raise Rejected("a gradient of zeros")

    noise = torch.Generator().manual_seed(0)
    moved = lambda by: [
        x + by * (1 + x.abs()) * (2 * torch.rand(x.shape, generator=noise, dtype=x.dtype) - 1)
        if x.is_floating_point()
        else x
        for x in inputs
    ]
    change = [0.0] * 3
    for _ in range(2):
        near = program.derivatives(REFERENCE, moved(1e-8)).vectors(len(inputs))
        change = [max(c, largest(a - b)) for c, a, b in zip(change, near, want)]
    far = program.derivatives(REFERENCE, moved(1e-5)).vectors(len(inputs))
    for name, c, f, a, scale in zip(("value", "gradient", "second"), change, far, want, scales):
        # Ill-conditioned; or not linear on the way to a near point: a kink is there that the guards overlooked.
        if c > 3e-5 * scale or largest(f - a) > 0.02 * scale:
            raise Rejected(f"the {name} is ill-conditioned")

    # As much as the inputs' own rounding, some hundred times, and that of the numbers on the way.
    epsilon = EPSILON[program.dtype]
    relative = 1000 * epsilon if program.dtype == "f64" else 40 * epsilon
    tolerances = [relative * (c / 1e-8 + scale) for c, scale in zip(change, scales)]
    if program.dtype == "f32":
        single = program.derivatives(REFERENCE, inputs, torch.float32).vectors(len(inputs))
        if any(largest(s - w) > t / 2 for s, w, t in zip(single, want, tolerances)):
            raise Rejected("PyTorch itself has too few digits in f32")
    # What PyTorch loses within its operations, seen by inputs that differ in their last digits.
    dtype = torch.float64 if program.dtype == "f64" else torch.float32
    for _ in range(2):
        near = program.derivatives(REFERENCE, moved(4 * epsilon), dtype).vectors(len(inputs))
        tolerances = [max(t, 20 * largest(a - b)) for t, a, b in zip(tolerances, near, want)]

    if program.dtype == "f32" and any(t > 3e4 * epsilon * scale for t, scale in zip(tolerances, scales)):
        raise Rejected("too few digits would be left to compare")

    digits = 17 if program.dtype == "f64" else 10
    lists = lambda tensors: [numbers(t, digits) for t in tensors]
    sums, at = [], len(inputs)
    for count in program.counts:
        sums.append([shortened(checksum(v), digits) for v in exact.values[at : at + count]])
        at += count
    return {
        "name": program.name,
        "dtype": program.dtype,
        "inputs": [described(x, layout, program.dtype) for x, layout in zip(inputs, program.layouts)],
        "steps": [list(step) for step in program.steps],
        "loss": [[n, numbers(w, 3)] for n, w in program.loss],
        "directions": [None if d is None else numbers(d, 3) for d in program.directions],
        "tolerances": [shortened(t, 2) for t in tolerances],
        "value": shortened(exact.loss.item(), digits),
        "gradients": lists(exact.gradients),
        "second": lists(exact.second),
        "sums": sums,
        "cotangents": [None if g is None else shortened(checksum(g), digits) for g in exact.cotangents],
    }


def largest(x):
    return x.abs().max().item() if x.numel() else 0.0


def described(x, layout, dtype):
    data = numbers(x, 17)
    if dtype == "f32" and x.is_floating_point():
        data = [shortened(float(numpy.format_float_positional(numpy.float32(v)))) for v in data]
    kind = dtype if x.is_floating_point() else {torch.int64: "i64", torch.bool: "bool"}[x.dtype]
    found = {"dtype": kind, "shape": list(x.shape), "data": data}
    return found if layout == "c" else {**found, "layout": layout}


def start():
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)


def drawn(job):
    return json.dumps(draw(*job), separators=(",", ":"), allow_nan=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="the file of programs that is written")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--count", type=int, default=420)
    parser.add_argument("--size", type=int, default=4, help="the largest size of a dimension")
    parser.add_argument("--only", help="operations, by commas, of which each program has one")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    args = parser.parse_args()
    only = args.only.split(",") if args.only else None
    jobs = [(args.seed, index, args.size, only) for index in range(args.count)]
    start()
    if args.processes > 1:
        with ProcessPoolExecutor(args.processes, initializer=start) as pool:
            lines = list(pool.map(drawn, jobs, chunksize=16))
    else:
        lines = [drawn(job) for job in jobs]
    with open(args.output, "w") as file:
        reference = f"PyTorch {torch.__version__.split('+')[0]}, CPU, float64"
        file.write(json.dumps({"reference": reference, "seed": args.seed, "size": args.size})[:-1])
        file.write(',"programs":[\n' + ",\n".join(lines) + "\n]}\n")
    print(f"{len(lines)} programs in {args.output}", file=sys.stderr)


if __name__ == "__main__":
    main()
