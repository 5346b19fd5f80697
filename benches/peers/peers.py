"""Times in Python the same work as the Rust benches; prints one JSON object per line.

The first line holds versions, thread counts and the CPU; every other line is
{"id", "peer", "seconds", "samples"}, with the median seconds of one iteration.
With --serve it measures what it is asked for: a peer, a space and an id on each line.
"""

import argparse
import importlib
import importlib.metadata
import itertools
import json
import math
import operator
import os
import re
import statistics
import sys
import time
import timeit
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import linalg
import sparse

SIZES = (3, 10, 30, 100, 300, 1000)
ROWS_PER_COLUMN = 10
# Of benches/elementwise.rs and benches/reduce.rs.
ROW_SIZES = (1024, 90_000, 4_000_000)
DTYPES = {"f64": "float64", "f32": "float32"}
# How far a peer's gradient may be from the one by hand, relative to its largest entry.
TOLERANCE = {"f64": 1e-10, "f32": 1e-3}
SEED = 20
SAMPLE_SECONDS = 5e-3
MIN_SAMPLES = 5
SLOWEST_CALL_SECONDS = 2.0
PACKAGES = ("numpy", "scipy", "torch", "autograd", "jax", "jaxlib")

Run = Callable[[], Any]


class Benchmark(NamedTuple):
    id: str
    peer: str
    build: Callable[[], Run]


@cache
def load(name: str) -> Any:
    """The module, or None if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        print(f"skipped {name}: {error}", file=sys.stderr)
        return None


def least_squares_data(dtype: str, d: int) -> tuple[Any, Any, Any]:
    """A, x and y, standard normal."""
    rng = load("numpy").random.default_rng(SEED)
    shapes = ((ROWS_PER_COLUMN * d, d), d, ROWS_PER_COLUMN * d)
    A, x, y = (rng.standard_normal(shape, dtype=DTYPES[dtype]) for shape in shapes)
    return A, x, y


def least_squares_numpy(dtype: str, d: int) -> Run:
    A, x, y = least_squares_data(dtype, d)

    def run() -> Any:
        r = y - A @ x
        return -2 * (A.T @ r)

    return run


def least_squares_numpy_pitfall(dtype: str, d: int) -> Run:
    # The textbook form as it reads: a product of two matrices before the one with x.
    A, x, y = least_squares_data(dtype, d)
    return lambda: -2 * A.T @ y + 2 * (A.T @ A) @ x


def least_squares_torch(dtype: str, d: int) -> Run:
    torch = load("torch")
    A, x, y = map(torch.from_numpy, least_squares_data(dtype, d))
    x.requires_grad_()
    # Measured against loss.backward() and x.grad = None: equal within the noise.
    return lambda: torch.autograd.grad(((y - A @ x) ** 2).sum(), x)[0]


def least_squares_autograd(dtype: str, d: int) -> Run:
    np = load("autograd.numpy")
    A, x, y = least_squares_data(dtype, d)
    gradient = load("autograd").grad(lambda x: np.sum((y - A @ x) ** 2))
    return lambda: gradient(x)


def least_squares_jax(dtype: str, d: int) -> Run:
    jax = load("jax")
    A, x, y = map(load("jax.numpy").asarray, least_squares_data(dtype, d))
    # A and y are arguments and not captured, so that XLA cannot take them for constants.
    gradient = jax.jit(jax.grad(lambda x, A, y: ((y - A @ x) ** 2).sum()))
    return lambda: gradient(x, A, y).block_until_ready()


def checked(build: Callable[[str, int], Run], dtype: str, d: int) -> Run:
    """The peer's iteration, after a look that it does compute the gradient."""
    np = load("numpy")
    run = build(dtype, d)
    expected = least_squares_numpy(dtype, d)()
    error = np.abs(np.asarray(run()) - expected).max() / np.abs(expected).max()
    if not error <= TOLERANCE[dtype]:
        raise ArithmeticError(f"{build.__name__} {dtype} {d}: off by {error:.1e}")
    return run


def scalar_wxb(w: Any, x: Any, b: Any) -> Any:
    return w * x + b


def chain_1000_sin(sin: Callable[[Any], Any], leaf: Any) -> Any:
    z = leaf
    for _ in range(1000):
        z = sin(z)
    return z


def chain_100_muladd(v: Any, a: Any, b: Any) -> Any:
    z = v
    for _ in range(100):
        z = z * a + b
    return z.sum()


def torch_gradients(loss: Callable[..., Any], leaves: tuple[Any, ...]) -> Run:
    """Forward, backward and reset of the gradients of `leaves`."""

    def run() -> None:
        loss().backward()
        for leaf in leaves:
            leaf.grad = None

    return run


def engine_torch(name: str) -> Run:
    torch = load("torch")
    leaf = partial(torch.tensor, dtype=torch.float64, requires_grad=True)
    constant = partial(torch.tensor, dtype=torch.float64)
    if name == "scalar_wxb":
        w, x, b = leaf(0.7), constant(1.3), leaf(0.2)
        return torch_gradients(lambda: scalar_wxb(w, x, b), (w, b))
    if name == "chain_1000_sin":
        x = leaf(0.7)
        return torch_gradients(lambda: chain_1000_sin(torch.sin, x), (x,))
    v, a, b = leaf([0.7] * 10), constant([0.9] * 10), constant([0.1] * 10)
    return torch_gradients(lambda: chain_100_muladd(v, a, b), (v,))


def engine_autograd(name: str) -> Run:
    np, grad = load("autograd.numpy"), load("autograd").grad
    if name == "scalar_wxb":
        gradient = grad(lambda w, b: scalar_wxb(w, 1.3, b), argnum=(0, 1))
        return lambda: gradient(0.7, 0.2)
    if name == "chain_1000_sin":
        gradient = grad(partial(chain_1000_sin, np.sin))
        return lambda: gradient(0.7)
    v, a, b = np.full(10, 0.7), np.full(10, 0.9), np.full(10, 0.1)
    gradient = grad(lambda v: chain_100_muladd(v, a, b))
    return lambda: gradient(v)


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def hessian_by_hand(x: Any) -> Any:
    np = load("numpy")
    expected, i = np.zeros((len(x), len(x))), np.arange(len(x) - 1)
    expected[i, i] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    expected[i + 1, i + 1] += 200
    expected[i, i + 1] = expected[i + 1, i] = -400 * x[:-1]
    return expected


def derivatives_torch(name: str, vectorize: bool = False) -> Run:
    torch, np = load("torch"), load("numpy")
    point = np.linspace(-1.2, 1.3, 200)
    x, v = torch.from_numpy(point), torch.ones(200, dtype=torch.float64)
    functional = torch.autograd.functional
    expected = hessian_by_hand(point)
    if name == "hvp":
        run, expected = (lambda: functional.hvp(rosenbrock, x, v)[1]), expected @ np.ones(200)
    else:
        run = partial(functional.hessian, rosenbrock, x, vectorize=vectorize)
    if not np.allclose(run().numpy(), expected, rtol=0, atol=1e-9):
        raise ArithmeticError(f"{name} of Rosenbrock's function is wrong")
    return run


def jvp_layer_torch() -> Run:
    torch, rng = load("torch"), load("numpy").random.default_rng(SEED)
    W = torch.from_numpy(rng.standard_normal((200, 200)) * 0.1)
    x, v = torch.linspace(-1.2, 1.3, 200, dtype=torch.float64), torch.ones(200, dtype=torch.float64)
    return lambda: torch.func.jvp(lambda x: torch.tanh(W @ x), (x,), (v,))[1]


def linalg_torch(op: str, dtype: str, what: str, shape: tuple[int, ...]) -> Run:
    return linalg.build(load("torch"), op, dtype, what, shape)


def sparse_scipy(work: str) -> Run:
    return sparse.build_scipy(load("scipy.sparse"), load("numpy"), work)


def sparse_torch(work: str) -> Run:
    return sparse.build_torch(load("torch"), load("numpy"), work)


class Draw:
    """Operands of rows in NumPy, in a dtype."""

    def __init__(self, dtype: str) -> None:
        self.rng, self.dtype = load("numpy").random.default_rng(SEED), DTYPES[dtype]

    def normal(self, *shape: int) -> Any:
        return self.rng.standard_normal(shape, dtype=self.dtype)

    def positive(self, *shape: int) -> Any:
        return self.rng.random(shape, dtype=self.dtype) * 3 + load("numpy").dtype(self.dtype).type(0.1)

    def places(self, high: int, *shape: int) -> Any:
        return self.rng.integers(0, high, shape)


class Row(NamedTuple):
    """One line of benches/elementwise.rs or benches/reduce.rs, for all dtypes and sizes."""

    name: str  # with the group before it
    shape: Callable[[int], tuple[int, ...]]  # of the first operand of n elements
    torch: Callable[[Any], Callable[..., Any]]  # the function of the operands, for the module
    numpy: Callable[[Any], Callable[..., Any]] | None = None
    draw: Callable[..., list[Any]] = lambda d, *s: [d.normal(*s)]
    gradient: bool = False
    constants: int = 0  # operands at the end that no gradient is taken with respect to
    sizes: tuple[int, ...] = ROW_SIZES
    dtypes: tuple[str, ...] = tuple(DTYPES)


def vector(n: int) -> tuple[int, ...]:
    return (n,)


def square(n: int) -> tuple[int, ...]:
    return (math.isqrt(n),) * 2


def of_length(length: int, n: int) -> tuple[int, ...]:
    return (n // length, length)


def rows() -> Iterator[Row]:
    two = lambda d, *s: [d.normal(*s), d.normal(*s)]  # noqa: E731
    positive = lambda d, *s: [d.positive(*s)]  # noqa: E731
    hundred = partial(of_length, 100)

    def elements(name: str, *arguments: Any, **more: Any) -> Row:
        return Row(f"elementwise/{name}", *arguments, gradient=True, **more)

    add = lambda _: operator.add  # noqa: E731
    yield elements("x * 2.5", vector, f := lambda _: lambda x: x * 2.5, f)
    yield elements("x + y", vector, add, add, two)
    yield elements("m + row", square, add, add, lambda d, *s: [d.normal(*s), d.normal(s[1])])
    yield elements("m + column", square, add, add, lambda d, *s: [d.normal(*s), d.normal(s[0], 1)])
    yield elements("s + s.t()", square, lambda _: lambda x: x + x.t(), lambda _: lambda x: x + x.T)

    for name in ("exp", "log", "tanh", "sin", "cos"):
        drawn = {"draw": positive} if name == "log" else {}
        yield elements(name, vector, operator.attrgetter(name), operator.attrgetter(name), **drawn)
    yield elements("x ** 2.3", vector, f := lambda _: lambda x: x**2.3, f, positive)
    yield elements("sigmoid", vector, lambda t: t.sigmoid)
    yield elements("erf", vector, lambda t: t.erf)
    yield elements("gelu", vector, lambda t: t.nn.functional.gelu)
    softplus = (lambda t: t.nn.functional.softplus, lambda np: lambda x: np.logaddexp(x, 0))
    yield elements("softplus", vector, *softplus)

    def copied(name: str, *arguments: Any, **more: Any) -> Row:
        return Row(f"elementwise/{name} copied", *arguments, **more)

    # Copies in the order of rows, whatever the memory of what is copied.
    yield copied("s.t()", square, lambda _: lambda x: x.t().contiguous(), lambda _: lambda x: x.T.copy("C"))
    flipped = (lambda _: lambda x: x.flip(1), lambda np: lambda x: np.flip(x, 1).copy("C"))
    yield copied("s.flip(1)", square, *flipped)
    strided = (lambda _: lambda x: x[:, ::2].contiguous(), lambda _: lambda x: x[:, ::2].copy("C"))
    yield copied("s[:, ::2]", square, *strided)
    cat = (lambda t: lambda *x: t.cat(x), lambda np: lambda *x: np.concatenate(x))
    yield Row("elementwise/cat of s and s2", square, *cat, two)
    yield perceptron()

    reductions = {
        "sum": (lambda d, x: x.sum(*d), lambda d, x: x.sum(*d)),
        "mean": (lambda d, x: x.mean(*d), lambda d, x: x.mean(*d)),
        "std": (lambda d, x: x.std(*d), lambda d, x: x.std(*d, ddof=1)),
        "var": (lambda d, x: x.var(*d), lambda d, x: x.var(*d, ddof=1)),
        "max": (lambda d, x: x.amax(*d) if d else x.max(), lambda d, x: x.max(*d)),
    }
    of_rows = [(f" of rows of {n}", partial(of_length, n), (1,)) for n in (2, 8, 16, 100, 10_000)]
    for suffix, shape, dim in [("", vector, ()), *of_rows, (" of columns", hundred, (0,))]:
        for name, (in_torch, in_numpy) in reductions.items():
            fs = (lambda _, f=partial(f, dim): f for f in (in_torch, in_numpy))
            yield Row(f"reduce/{name}{suffix}", shape, *fs)

    def of_hundred(name: str, *arguments: Any, **more: Any) -> Row:
        return Row(f"reduce/{name} of rows of 100", hundred, *arguments, **more)

    for name in ("softmax", "log_softmax", "logsumexp"):
        yield of_hundred(name, lambda t, name=name: partial(getattr(t, name), dim=1), gradient=True)
    yield Row("reduce/cumsum", vector, lambda t: lambda x: x.cumsum(0), lambda np: lambda x: x.cumsum(0))
    yield of_hundred("cumsum", lambda t: lambda x: x.cumsum(1), lambda np: lambda x: x.cumsum(1))
    yield Row("reduce/sort", vector, lambda t: lambda x: x.sort(0), lambda np: np.sort)
    yield of_hundred("sort", lambda t: lambda x: x.sort(1), lambda np: np.sort)
    gather = (lambda t: lambda x, i: x.gather(1, i), lambda np: partial(np.take_along_axis, axis=1))
    yield of_hundred("gather", *gather, lambda d, *s: [d.normal(*s), d.places(s[1], *s)])
    select = (lambda t: lambda x, i: x.index_select(0, i), lambda np: lambda x, i: x.take(i, 0))
    yield of_hundred("index_select", *select, lambda d, *s: [d.normal(*s), d.places(s[0], s[0])])

    def added(np: Any) -> Callable[..., Any]:
        def f(x: Any, i: Any, y: Any) -> Any:
            z = x.copy()
            np.add.at(z, i, y)
            return z

        return f

    drawn = lambda d, n: [d.normal(n), d.places(n, n), d.normal(n)]  # noqa: E731
    yield Row("reduce/scatter_add", vector, lambda t: lambda x, i, y: x.scatter_add(0, i, y), added, drawn)


def perceptron() -> Row:
    """The loss of images of 784 points, with respect to the weights."""

    def draw(d: Draw, images: int) -> list[Any]:
        weights = [d.normal(*shape) * 0.05 for shape in ((784, 256), (256,), (256, 10), (10,))]
        return [*weights, d.normal(images, 784), d.places(10, images)]

    def build(t: Any) -> Callable[..., Any]:
        def loss(w1: Any, b1: Any, w2: Any, b2: Any, x: Any, classes: Any) -> Any:
            hidden = t.addmm(b1, x, w1).relu()
            return t.nn.functional.cross_entropy(t.addmm(b2, hidden, w2), classes)

        return loss

    name = "elementwise/perceptron 784-256-10"
    fixed = {"sizes": (128,), "dtypes": ("f32",)}
    return Row(name, vector, build, draw=draw, gradient=True, constants=2, **fixed)


def row_numpy(row: Row, dtype: str, shape: tuple[int, ...]) -> Run:
    return partial(row.numpy(load("numpy")), *row.draw(Draw(dtype), *shape))


def row_torch(row: Row, dtype: str, shape: tuple[int, ...], what: str) -> Run:
    torch = load("torch")
    operands = [torch.from_numpy(x) for x in row.draw(Draw(dtype), *shape)]
    f = row.torch(torch)
    if what == "forward":
        return partial(f, *operands)
    tracked = [x.requires_grad_() for x in operands[: len(operands) - row.constants]]
    return lambda: torch.autograd.grad(f(*operands).sum(), tracked)


def row_benchmarks() -> Iterator[Benchmark]:
    for row in rows():
        for dtype, n in itertools.product(row.dtypes, row.sizes):
            shape = row.shape(n)
            if not shape[0]:
                continue  # rows too long for so few elements
            for what in ("forward", "gradient") if row.gradient else ("forward",):
                id = f"{row.name}/{dtype}/{what}/{n}"
                yield Benchmark(id, "torch", partial(row_torch, row, dtype, shape, what))
                if row.numpy and what == "forward":
                    yield Benchmark(id, "numpy", partial(row_numpy, row, dtype, shape))


def benchmarks() -> Iterator[Benchmark]:
    least_squares = {
        "numpy": least_squares_numpy,
        "numpy_pitfall": least_squares_numpy_pitfall,
        "torch": least_squares_torch,
        "autograd": least_squares_autograd,
        "jax": least_squares_jax,
    }
    for dtype in DTYPES:
        for d in SIZES:
            for peer, build in least_squares.items():
                id = f"least_squares_gradient/{dtype}/{d}"
                yield Benchmark(id, peer, partial(checked, build, dtype, d))
    for name in ("scalar_wxb", "chain_1000_sin", "chain_100_muladd_vec10"):
        yield Benchmark(f"engine/{name}", "torch", partial(engine_torch, name))
        yield Benchmark(f"engine/{name}", "autograd", partial(engine_autograd, name))
    for name in ("hessian", "hvp"):
        id = f"derivatives/{name}_rosenbrock/200"
        yield Benchmark(id, "torch", partial(derivatives_torch, name))
    yield Benchmark("derivatives/jvp_layer/200", "torch", jvp_layer_torch)
    id = "derivatives/hessian_rosenbrock/200"
    yield Benchmark(id, "torch_vectorized", partial(derivatives_torch, "hessian", vectorize=True))
    for op, shape in linalg.works():
        for dtype in DTYPES:
            for what in ("forward", "gradient"):
                id = f"linalg/{op}/{dtype}/{what}/{linalg.size(shape)}"
                yield Benchmark(id, "torch", partial(linalg_torch, op, dtype, what, shape))
    for work in sparse.WORKS:
        id = f"sparse/{work}/{sparse.ROWS}"
        yield Benchmark(id, "scipy", partial(sparse_scipy, work))
        yield Benchmark(id, "torch", partial(sparse_torch, work))
    yield from row_benchmarks()


def measure(run: Run, seconds: float) -> tuple[float, int] | None:
    """Median seconds of one iteration and the number of samples; None if it is too slow."""
    timer = timeit.Timer(run)  # stops the garbage collector, in favour of the peers
    once = timer.timeit(1)
    if once > SLOWEST_CALL_SECONDS:
        return None
    warm = time.perf_counter() + seconds / 4
    while time.perf_counter() < warm:
        once = min(once, timer.timeit(1))
    count = max(1, math.ceil(SAMPLE_SECONDS / once))
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while len(samples) < MIN_SAMPLES or time.perf_counter() < end:
        samples.append(timer.timeit(count) / count)
    return statistics.median(samples), len(samples)


def cpu_name() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
        return next(names, "unknown")


def blas_threads() -> int | None:
    """Threads of NumPy's BLAS; asked before another library brings a second BLAS along."""
    threadpoolctl = load("threadpoolctl")
    pools = threadpoolctl.threadpool_info() if threadpoolctl else []
    return next((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), None)


def library(benchmark: Benchmark) -> str:
    return benchmark.peer.split("_")[0]


def measured(benchmark: Benchmark, seconds: float) -> dict[str, Any] | None:
    """What is printed of a benchmark; None if it is too slow."""
    found = measure(benchmark.build(), seconds)
    if found is None:
        print(f"skipped {benchmark.id} {benchmark.peer}: too slow", file=sys.stderr)
        return None
    return {"id": benchmark.id, "peer": benchmark.peer, "seconds": found[0], "samples": found[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--filter", type=re.compile, default="", help="regex on the ids")
    parser.add_argument("--seconds", type=float, default=1.0, help="per benchmark")
    parser.add_argument("--threads", type=int, help="run on that many cores only")
    parser.add_argument("--serve", action="store_true", help="measure what comes line by line: PEER ID")
    options = parser.parse_args()
    if options.threads:
        # Before the libraries load: all of them size their thread pools by the affinity.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])

    chosen = [b for b in benchmarks() if re.search(options.filter, b.id)]
    libraries = {library(b) for b in chosen}
    present = {"numpy"} if load("numpy") else set()
    threads = {"cores": len(os.sched_getaffinity(0)), "numpy_blas": blas_threads()}
    # Others would only cost time and memory.
    wanted = [name for name in ("scipy", "torch", "autograd", "jax") if name in libraries]
    present |= {name for name in wanted if load(name)}
    if "torch" in present:
        threads["torch"] = load("torch").get_num_threads()
    if "jax" in present:
        load("jax").config.update("jax_platforms", "cpu")
        load("jax").config.update("jax_enable_x64", True)
    installed = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
    versions = {name: installed[name] for name in PACKAGES if name in installed}
    header = {"python": sys.version.split()[0], **versions}
    print(json.dumps({"versions": header, "threads": threads, "cpu": cpu_name()}), flush=True)

    chosen = [b for b in chosen if {"numpy", library(b)} <= present]
    if options.serve:
        by_name = {f"{b.peer} {b.id}": b for b in chosen}
        for line in sys.stdin:
            print(json.dumps(measured(by_name[line.rstrip("\n")], options.seconds)), flush=True)
        return
    for benchmark in chosen:
        if line := measured(benchmark, options.seconds):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
