"""Puts the GPU bench beside PyTorch on the same GPU, as a table in markdown.

    python3 peers_gpu.py BENCH [--quick] [--rounds 3] [--out FILE.md]

BENCH is the program of benches/gpu.rs: it tells what is measured, and measures its side, work by work in turn
with PyTorch's. Without PyTorch, or where it has no GPU, only its side is measured. Needs nothing else. The exit
code is 1 where something could not be measured; a target that is missed is a line in the table.
"""

import argparse
import contextlib
import datetime
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Call = Callable[[], Any]

# As in benches/gpu.rs.
SAMPLE_SECONDS = 5e-3
MOST_CALLS = 1000
CALLS_ENQUEUED = 200
MIN_SAMPLES = 5
SECONDS = {False: 0.1, True: 0.02}
# A work that takes longer than this is given up, and the program started anew.
SLOWEST_SECONDS = 60.0

TORCH_DTYPES = {"f32": "float32", "f64": "float64"}
DEVICE = "cuda"
# Of our time to PyTorch's: our work, PyTorch's, and the largest ratio.
TARGETS = [
    *((name, name, 1.0) for name in ("addmv/1000x1000", "mv/1000x1000", "mm/1000x1000", "bmm/32x512x512")),
    *((f"least_squares_gradient/{shape}",) * 2 + (0.7,) for shape in ("10000x1000", "30000x3000")),
    *((f"enqueue_{what}/16",) * 2 + (0.5,) for what in ("add", "gradient")),
    *((f"inverse/100000x{n}x{n}",) * 2 + (0.3,) for n in (4, 8)),
    *((f"{op}/{shape}",) * 2 + (0.1,) for op in ("svd", "eigh") for shape in ("10000x8x8", "1000x32x32")),
    ("replayed_100/16", "eager_100/16", 0.1),
    ("replayed_100/16", "replayed_100/16", 0.1),
]
# Of the larger of the two measured bandwidths of copies.
SCALE_SHARE = 0.9
SCALE, COPY = "scale/10000x10000", "copy/10000x10000"


class Bench:
    """Our side: a process that measures one work for each line it is sent."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process: subprocess.Popen[str] | None = None
        self.header = self.start()

    def start(self) -> dict[str, Any]:
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        line = self.read()
        if not line.startswith("{"):
            sys.exit(line.strip() or f"{self.command[0]} printed nothing")
        return json.loads(line)

    def read(self) -> str:
        assert self.process and self.process.stdout
        timer = threading.Timer(SLOWEST_SECONDS, self.process.kill)
        timer.start()
        try:
            return self.process.stdout.readline()
        finally:
            timer.cancel()

    def measure(self, name: str, dtype: str) -> dict[str, Any]:
        if self.process is None:
            self.start()
        assert self.process and self.process.stdin
        line = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{name} {dtype}\n")
            line = self.read()
        result = json.loads(line) if line else {"error": "the program ended, or took too long"}
        if "error" in result:
            # After some errors a GPU refuses all further work of the process.
            self.stop()
        return result

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


class Torch:
    """PyTorch's side: the same works, measured in the same way."""

    def __init__(self, torch: Any, seconds: float) -> None:
        self.torch, self.seconds = torch, seconds
        # Single precision means single precision on both sides.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.manual_seed(0)

    def measure(self, name: str, dtype: str) -> dict[str, Any]:
        op, _, sizes = name.partition("/")
        shape = tuple(map(int, sizes.split("x")))
        gc.collect()
        gc.disable()
        try:
            call = self.build(op, getattr(self.torch, TORCH_DTYPES[dtype]), shape)
            return {"seconds": self.time(call, enqueued=op.startswith("enqueue"))}
        except Exception as error:  # one work that PyTorch cannot do leaves the others
            return {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        finally:
            gc.enable()
            call = None
            with contextlib.suppress(Exception):
                self.torch.cuda.empty_cache()

    def time(self, call: Call, enqueued: bool) -> float:
        call()
        once = self.sample(call, 1, enqueued)
        if once > self.seconds:
            return once
        calls = CALLS_ENQUEUED if enqueued else min(MOST_CALLS, math.ceil(SAMPLE_SECONDS / once))
        samples: list[float] = []
        end = time.perf_counter() + self.seconds
        while len(samples) < MIN_SAMPLES or time.perf_counter() < end:
            samples.append(self.sample(call, calls, enqueued))
        return statistics.median(samples)

    def sample(self, call: Call, calls: int, enqueued: bool) -> float:
        synchronize = self.torch.cuda.synchronize
        synchronize()
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        if not enqueued:
            synchronize()
        return (time.perf_counter() - begin) / calls

    def build(self, op: str, dtype: Any, shape: tuple[int, ...]) -> Call:
        torch, n = self.torch, shape[-1]

        def normal(*size: int) -> Any:
            return torch.randn(*size, dtype=dtype, device=DEVICE)

        def eye() -> Any:
            return torch.eye(n, dtype=dtype, device=DEVICE)

        def symmetric() -> Any:
            x = normal(*shape)
            return (x + x.mT) / 2

        def indices() -> Any:
            return torch.randint(0, n, shape, device=DEVICE)

        linalg, vector = torch.linalg, shape[:-1]
        grad = torch.autograd.grad
        match op:
            case "copy":
                x = normal(*shape)
                return lambda: x.clone()
            case "scale":
                x = normal(*shape)
                return lambda: x * 1.5
            case "sum":
                x = normal(*shape)
                return lambda: x.sum()
            case "sum_rows" | "sum_columns":
                x, dim = normal(*shape), 1 if op == "sum_rows" else 0
                return lambda: x.sum(dim)
            case "softmax":
                x = normal(*shape)
                return lambda: torch.softmax(x, 1)
            case "add_row" | "add_column":
                x, y = normal(*shape), normal(1, n) if op == "add_row" else normal(shape[0], 1)
                return lambda: x + y
            case "gather":
                x, index = normal(*shape), indices()
                return lambda: torch.gather(x, 1, index)
            case "scatter_add":
                x, y, index = normal(*shape), normal(*shape), indices()
                return lambda: torch.scatter_add(x, 1, index, y)
            case "sort":
                x = normal(*shape)
                return lambda: torch.sort(x, dim=1, stable=True)
            case "addmv":
                y, a, x = normal(*vector), normal(*shape), normal(n)
                return lambda: torch.addmv(y, a, x)
            case "mv":
                a, x = normal(*shape), normal(n)
                return lambda: torch.mv(a, x)
            case "mm" | "bmm":
                f, a, b = getattr(torch, op), normal(*shape), normal(*shape)
                return lambda: f(a, b)
            case "least_squares_gradient":
                a, x, y = normal(*shape), normal(n).requires_grad_(), normal(*vector)
                return lambda: grad(((y - a @ x) ** 2).sum(), x)
            case "inverse":
                a = normal(*shape) + n * eye()
                return lambda: linalg.inv(a)
            case "svd":
                a = normal(*shape)
                return lambda: linalg.svd(a, full_matrices=False)
            case "eigh":
                a = symmetric()
                return lambda: linalg.eigh(a)
            case "solve":
                a, b = normal(*shape) + n * eye(), normal(*vector)
                return lambda: linalg.solve(a, b)
            case "det":
                a = normal(*shape) * math.sqrt(math.e / n)
                return lambda: linalg.det(a)
            case "cholesky":
                a = symmetric() + 2 * n * eye()
                return lambda: linalg.cholesky(a)
            case "enqueue_add":
                x, y = normal(*shape), normal(*shape)
                return lambda: x + y
            case "enqueue_gradient":
                x, y = normal(*shape).requires_grad_(), normal(*shape)
                return lambda: grad((x + y).sum(), x)
            case "eager_100":
                return self.chain(*(normal(*shape) for _ in range(3)))
            case "replayed_100":
                return self.replayed(*(normal(*shape) for _ in range(3)))
        raise NotImplementedError(f"no work {op} in PyTorch")

    def chain(self, x: Any, a: Any, b: Any) -> Call:
        """A hundred operations and their sum: the value and the gradient."""

        def value_and_grad() -> tuple[Any, Any]:
            at = x.detach().requires_grad_()
            z = at
            for _ in range(50):
                z = z * a + b
            value = z.sum()
            return value.detach(), self.torch.autograd.grad(value, at)[0]

        return value_and_grad

    def replayed(self, x: Any, a: Any, b: Any) -> Call:
        """The same in a CUDA graph, with new inputs copied in and results copied out, as ours does."""
        cuda, static = self.torch.cuda, x.clone()
        value_and_grad = self.chain(static, a, b)
        # As PyTorch's documentation asks: a few runs on another stream before the capture.
        stream = cuda.Stream()
        stream.wait_stream(cuda.current_stream())
        with cuda.stream(stream):
            for _ in range(3):
                value_and_grad()
        cuda.current_stream().wait_stream(stream)
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            value, gradient = value_and_grad()

        def run() -> tuple[Any, Any]:
            static.copy_(x)
            graph.replay()
            return value.clone(), gradient.clone()

        return run


def load_torch() -> Any:
    """PyTorch, where it is installed and sees a GPU."""
    try:
        import torch
    except ImportError as error:
        print(f"without PyTorch: {error}", file=sys.stderr)
        return None
    if not torch.cuda.is_available():
        print("without PyTorch: it sees no GPU", file=sys.stderr)
        return None
    return torch


class Results:
    """Seconds of both sides by work, a number for each round, and what failed."""

    def __init__(self) -> None:
        self.rounds: dict[tuple[str, str], list[dict[str, float]]] = {}
        self.bandwidth: dict[tuple[str, str], float] = {}
        self.errors: dict[str, str] = {}

    def add(self, work: tuple[str, str], number: int, side: str, line: dict[str, Any]) -> None:
        rounds = self.rounds.setdefault(work, [])
        rounds.extend({} for _ in range(number + 1 - len(rounds)))
        if "seconds" in line:
            rounds[number][side] = line["seconds"]
            if "gb_per_s" in line:
                self.bandwidth[work] = line["gb_per_s"] * line["seconds"]
        else:
            self.errors[f"{side}, {work[0]}, {work[1]}"] = line["error"]

    def median(self, work: tuple[str, str], side: str) -> float | None:
        times = [r[side] for r in self.rounds.get(work, []) if side in r]
        return statistics.median(times) if times else None

    def rate(self, work: tuple[str, str], side: str) -> float | None:
        """Gigabytes in a second."""
        seconds = self.median(work, side)
        return self.bandwidth[work] / seconds if seconds and work in self.bandwidth else None

    def ratios(self, ours: tuple[str, str], theirs: tuple[str, str]) -> list[float]:
        pairs = zip(self.rounds.get(ours, []), self.rounds.get(theirs, []), strict=False)
        return [a["tapegrad"] / b["PyTorch"] for a, b in pairs if "tapegrad" in a and "PyTorch" in b]


def readable(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    scale, unit = next(
        ((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * s >= 0.9995), (1e9, "ns")
    )
    return f"{seconds * scale:.3g} {unit}"


def number(value: float | None, digits: str = ".3g") -> str:
    return "–" if value is None else format(value, digits)


def table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def times_table(results: Results) -> str:
    rows = []
    for work in results.rounds:
        ratios = results.ratios(work, work)
        rows.append([
            work[0],
            work[1],
            readable(results.median(work, "tapegrad")),
            readable(results.median(work, "PyTorch")),
            number(statistics.median(ratios) if ratios else None),
            f"{min(ratios):.3g} to {max(ratios):.3g}" if ratios else "–",
            number(results.rate(work, "tapegrad"), ".0f"),
            number(results.rate(work, "PyTorch"), ".0f"),
        ])
    head = ["work", "type", "tapegrad", "PyTorch", "ratio", "spread", "GB/s", "GB/s, PyTorch"]
    return table(head, rows)


def verdict(met: bool | None) -> str:
    return "not measured" if met is None else "met" if met else "missed"


def target_rows(results: Results) -> Iterator[list[str]]:
    for dtype in TORCH_DTYPES:
        scale, copy = (SCALE, dtype), (COPY, dtype)
        rate = results.rate(scale, "tapegrad")
        copies = [r for r in (results.rate(copy, side) for side in ("tapegrad", "PyTorch")) if r]
        share = rate / max(copies) if rate and copies else None
        met = None if share is None else share >= SCALE_SHARE
        yield [f"{SCALE}, bandwidth / copy's", dtype, number(share), f"≥ {SCALE_SHARE}", verdict(met)]
        for ours, theirs, limit in TARGETS:
            ratios = results.ratios((ours, dtype), (theirs, dtype))
            ratio = statistics.median(ratios) if ratios else None
            name = ours if ours == theirs else f"{ours} / PyTorch's {theirs}"
            met = None if ratio is None else ratio <= limit
            yield [name, dtype, number(ratio), f"≤ {limit}", verdict(met)]


def report(results: Results, facts: list[str]) -> str:
    targets = list(target_rows(results))
    counts = {v: sum(row[-1] == v for row in targets) for v in ("met", "missed", "not measured")}
    parts = [
        "\n".join(f"- {fact}" for fact in facts),
        "targets: " + ", ".join(f"{count} {v}" for v, count in counts.items()),
        table(["target: ratio of times", "type", "ratio", "limit", "verdict"], targets),
        times_table(results),
    ]
    if results.errors:
        parts.append("Not measured:\n\n" + "\n".join(f"- {w}: {e}" for w, e in results.errors.items()))
    return "\n\n".join(parts) + "\n"


def driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return ", ".join(sorted(set(done.stdout.split())))


def facts_of(bench: Bench, torch: Any) -> list[str]:
    header = bench.header
    peer = f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}" if torch else "PyTorch not measured"
    return [
        f"GPU: {header['gpu']}, driver {driver()}",
        f"tapegrad {header['version']}; {peer}",
        f"CPU: {os.cpu_count()} cores; {datetime.date.today()}",
        "Both sides in single precision as such, without TF32; times are medians of rounds in which both sides "
        "take turns, ratios are formed within a round",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", help="the program of benches/gpu.rs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="small sizes and short measurements, for a trial")
    parser.add_argument("--filter", default="", help="only works whose name contains this")
    parser.add_argument("--seconds", type=float, default=math.inf, help="no further work is begun after so many")
    parser.add_argument("--out", help="where the report goes, besides the standard output")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds

    command = [options.bench, "--serve", f"--filter={options.filter}", *(["--quick"] if options.quick else [])]
    bench = Bench(command)
    torch = load_torch()
    facts = facts_of(bench, torch)
    sides: dict[str, Bench | Torch] = {"tapegrad": bench}
    if torch:
        sides["PyTorch"] = Torch(torch, SECONDS[options.quick])
    results = Results()

    def write() -> str:
        text = report(results, facts)
        if options.out:
            with open(options.out, "w", encoding="utf-8") as file:
                file.write(text)
        return text

    works = [(name, dtype) for name, dtype in bench.header["works"]]
    missing = set(works)
    for turn in range(options.rounds):
        for work in works:
            if time.monotonic() > end:
                break
            for side in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                results.add(work, turn, side, sides[side].measure(*work))
            missing.discard(work)
            write()  # whoever ends this program early has what was measured
    bench.stop()
    results.errors |= {f"{name}, {dtype}": "no time was left" for name, dtype in sorted(missing)}
    print(write())
    ours = [e for e in results.errors if not e.startswith("PyTorch, ")]
    sys.exit(1 if ours else 0)


if __name__ == "__main__":
    main()
