"""Times in Python the same work as the Rust benches; prints one JSON object per line.

The first line holds versions, thread counts and the CPU; every other line is
{"id", "peer", "seconds", "samples"}, with the median seconds of one iteration.
With --serve it measures what it is asked for: a peer, a space and an id on each line; the first line holds
the "rows" that it knows, too.
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
from functools import cache, lru_cache, partial
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
MIN_SAMPLES = 3
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
    if name == "w x + b":
        w, x, b = leaf(0.7), constant(1.3), leaf(0.2)
        return torch_gradients(lambda: scalar_wxb(w, x, b), (w, b))
    if name == "1000 sin":
        x = leaf(0.7)
        return torch_gradients(lambda: chain_1000_sin(torch.sin, x), (x,))
    v, a, b = leaf([0.7] * 10), constant([0.9] * 10), constant([0.1] * 10)
    return torch_gradients(lambda: chain_100_muladd(v, a, b), (v,))


def engine_autograd(name: str) -> Run:
    np, grad = load("autograd.numpy"), load("autograd").grad
    if name == "w x + b":
        gradient = grad(lambda w, b: scalar_wxb(w, 1.3, b), argnum=(0, 1))
        return lambda: gradient(0.7, 0.2)
    if name == "1000 sin":
        gradient = grad(partial(chain_1000_sin, np.sin))
        return lambda: gradient(0.7)
    v, a, b = np.full(10, 0.7), np.full(10, 0.9), np.full(10, 0.1)
    gradient = grad(lambda v: chain_100_muladd(v, a, b))
    return lambda: gradient(v)


def engine_jax(name: str) -> Run:
    jax = load("jax")
    constant = load("jax.numpy").asarray
    if name == "w x + b":
        return jitted(jax.value_and_grad(scalar_wxb, (0, 2)), constant(0.7), constant(1.3), constant(0.2))
    if name == "1000 sin":
        # Unrolled, as the other libraries have it, it would be compiled for seconds.
        chain = lambda x: jax.lax.fori_loop(0, 1000, lambda _, z: load("jax.numpy").sin(z), x)  # noqa: E731
        return jitted(jax.value_and_grad(chain), constant(0.7))
    operands = map(constant, ([0.7] * 10, [0.9] * 10, [0.1] * 10))
    return jitted(jax.value_and_grad(chain_100_muladd), *operands)


def jitted(f: Callable[..., Any], *operands: Any) -> Run:
    """A compiled function, called until its result is there; operands are arguments, and no constants to XLA."""
    jax = load("jax")
    compiled = jax.jit(f)
    jax.block_until_ready(compiled(*operands))
    return lambda: jax.block_until_ready(compiled(*operands))


def rosenbrock(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def gradient_by_hand(x: Any) -> Any:
    expected = load("numpy").zeros(len(x))
    expected[:-1] = -400 * x[:-1] * (x[1:] - x[:-1] ** 2) - 2 * (1 - x[:-1])
    expected[1:] += 200 * (x[1:] - x[:-1] ** 2)
    return expected


def hessian_by_hand(x: Any) -> Any:
    np = load("numpy")
    expected, i = np.zeros((len(x), len(x))), np.arange(len(x) - 1)
    expected[i, i] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    expected[i + 1, i + 1] += 200
    expected[i, i + 1] = expected[i + 1, i] = -400 * x[:-1]
    return expected


# What is taken of Rosenbrock's function, under the names of benches/derivatives.rs.
GRADIENT, HESSIAN = "Rosenbrock", "Rosenbrock's Hessian"
PRODUCT = "Rosenbrock's Hessian by a vector"


def rosenbrock_torch(what: str, n: int, vectorize: bool = False) -> Run:
    torch = load("torch")
    x, v = torch.from_numpy(rosenbrock_point(n)), torch.ones(n, dtype=torch.float64)
    functional = torch.autograd.functional
    if what == PRODUCT:
        return right(what, lambda: functional.hvp(rosenbrock, x, v)[1], n)
    if what == HESSIAN:
        return right(what, partial(functional.hessian, rosenbrock, x, vectorize=vectorize), n)
    x.requires_grad_()
    return right(what, lambda: torch.autograd.grad(rosenbrock(x), x)[0], n)


def rosenbrock_jax(what: str, n: int) -> Run:
    jax, jnp = load("jax"), load("jax.numpy")
    x, v = jnp.asarray(rosenbrock_point(n)), jnp.ones(n)
    if what == PRODUCT:
        return right(what, jitted(lambda x, v: jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1], x, v), n)
    if what == HESSIAN:
        return right(what, jitted(jax.hessian(rosenbrock), x), n)
    run = jitted(jax.value_and_grad(rosenbrock), x)
    right(what, lambda: run()[1], n)
    return run


def rosenbrock_autograd(what: str, n: int) -> Run:
    x, gradient = rosenbrock_point(n), load("autograd").grad(rosenbrock)
    return right(what, lambda: gradient(x), n)


def rosenbrock_point(n: int) -> Any:
    return load("numpy").linspace(-1.2, 1.3, n)


def right(what: str, run: Run, n: int) -> Run:
    """The iteration, after a look at its result."""
    np, x = load("numpy"), rosenbrock_point(n)
    expected = gradient_by_hand(x) if what == GRADIENT else hessian_by_hand(x)
    if what == PRODUCT:
        expected = expected @ np.ones(n)
    if not np.allclose(np.asarray(run()), expected, rtol=0, atol=1e-9):
        raise ArithmeticError(f"{what} is wrong")
    return run


def layer() -> tuple[Any, Any, Any]:
    np = load("numpy")
    W = np.random.default_rng(SEED).standard_normal((200, 200)) * 0.1
    return W, np.linspace(-1.2, 1.3, 200), np.ones(200)


def jvp_layer_torch() -> Run:
    torch = load("torch")
    W, x, v = map(torch.from_numpy, layer())
    return lambda: torch.func.jvp(lambda x: torch.tanh(W @ x), (x,), (v,))[1]


def vjp_layer_torch() -> Run:
    torch = load("torch")
    W, x, v = map(torch.from_numpy, layer())
    x.requires_grad_()
    return lambda: torch.autograd.grad(torch.tanh(W @ x), x, v)[0]


RATES = (1.5, 1.0, 3.0, 1.0)


def runge_kutta(rates: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
    """A step of length 0.01 for x' = x (a - b y), y' = y (d x - c), as in benches/derivatives.rs."""
    (a, b, c, d), (x, y), h = rates, state, 0.01

    def slope(x: Any, y: Any) -> tuple[Any, Any]:
        return x * (a - b * y), y * (d * x - c)

    k1, l1 = slope(x, y)
    k2, l2 = slope(x + k1 * (h / 2), y + l1 * (h / 2))
    k3, l3 = slope(x + k2 * (h / 2), y + l2 * (h / 2))
    k4, l4 = slope(x + k3 * h, y + l3 * h)
    return x + (k1 + (k2 + k3) * 2 + k4) * (h / 6), y + (l1 + (l2 + l3) * 2 + l4) * (h / 6)


def loop_torch(gradient: bool) -> Run:
    torch = load("torch")
    rates = [torch.tensor(r, dtype=torch.float64, requires_grad=gradient) for r in RATES]
    one = torch.tensor(1.0, dtype=torch.float64)

    def run() -> Any:
        state = (one, one)
        for _ in range(1000):
            state = runge_kutta(rates, state)
        end = state[0] + state[1]
        return torch.autograd.grad(end, rates) if gradient else end

    return run


def loop_jax(gradient: bool) -> Run:
    jax, jnp = load("jax"), load("jax.numpy")

    def end(rates: Any, start: tuple[Any, Any]) -> Any:
        step = lambda state, _: (runge_kutta(rates, state), None)
        x, y = jax.lax.scan(step, start, None, length=1000)[0]
        return x + y

    rates, start = tuple(map(jnp.asarray, RATES)), (jnp.asarray(1.0), jnp.asarray(1.0))
    return jitted(jax.value_and_grad(end) if gradient else end, rates, start)


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
    jax: Callable[[Any], Callable[..., Any]] | None = None  # where it is not NumPy's, for jax.numpy
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
    yield elements("x + y", vector, add, add, draw=two)
    yield elements("m + row", square, add, add, draw=lambda d, *s: [d.normal(*s), d.normal(s[1])])
    yield elements("m + column", square, add, add, draw=lambda d, *s: [d.normal(*s), d.normal(s[0], 1)])
    yield elements("s + s.t()", square, lambda _: lambda x: x + x.t(), lambda _: lambda x: x + x.T)

    for name in ("exp", "log", "tanh", "sin", "cos"):
        drawn = {"draw": positive} if name == "log" else {}
        yield elements(name, vector, operator.attrgetter(name), operator.attrgetter(name), **drawn)
    yield elements("x ** 2.3", vector, f := lambda _: lambda x: x**2.3, f, draw=positive)
    yield elements("sigmoid", vector, lambda t: t.sigmoid, jax=lambda j: j.nn.sigmoid)
    yield elements("erf", vector, lambda t: t.erf, jax=lambda j: j.lax.erf)
    exact = lambda j: partial(j.nn.gelu, approximate=False)  # noqa: E731
    yield elements("gelu", vector, lambda t: t.nn.functional.gelu, jax=exact)
    softplus = (lambda t: t.nn.functional.softplus, lambda np: lambda x: np.logaddexp(x, 0), lambda j: j.nn.softplus)
    yield elements("softplus", vector, *softplus)

    def copied(name: str, *arguments: Any, **more: Any) -> Row:
        return Row(f"elementwise/{name} copied", *arguments, **more)

    # Copies in the order of rows, whatever the memory of what is copied: what XLA compiles returns such.
    transposed = (lambda _: lambda x: x.t().contiguous(), lambda _: lambda x: x.T.copy("C"), lambda _: lambda x: x.T)
    yield copied("s.t()", square, *transposed)
    flipped = (lambda _: lambda x: x.flip(1), lambda np: lambda x: np.flip(x, 1).copy("C"))
    yield copied("s.flip(1)", square, *flipped, lambda j: lambda x: j.numpy.flip(x, 1))
    strided = (lambda _: lambda x: x[:, ::2].contiguous(), lambda _: lambda x: x[:, ::2].copy("C"))
    yield copied("s[:, ::2]", square, *strided, lambda _: lambda x: x[:, ::2])
    cat = (lambda t: lambda *x: t.cat(x), lambda np: lambda *x: np.concatenate(x))
    yield Row("elementwise/cat of s and s2", square, *cat, draw=two)
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
        in_torch = lambda t, name=name: partial(getattr(t, name), dim=1)  # noqa: E731
        in_jax = lambda j, name=name: partial(getattr(j.nn, name), axis=1)  # noqa: E731
        yield of_hundred(name, in_torch, jax=in_jax, gradient=True)
    entropy = {"draw": lambda d, *s: [d.normal(*s), d.places(s[1], s[0])], "gradient": True, "constants": 1}
    yield of_hundred("cross_entropy", lambda t: t.nn.functional.cross_entropy, jax=cross_entropy_jax, **entropy)
    yield Row("reduce/cumsum", vector, lambda t: lambda x: x.cumsum(0), lambda np: lambda x: x.cumsum(0))
    yield of_hundred("cumsum", lambda t: lambda x: x.cumsum(1), lambda np: lambda x: x.cumsum(1))
    yield Row("reduce/sort", vector, lambda t: lambda x: x.sort(0), lambda np: np.sort)
    yield of_hundred("sort", lambda t: lambda x: x.sort(1), lambda np: np.sort)
    gather = (lambda t: lambda x, i: x.gather(1, i), lambda np: partial(np.take_along_axis, axis=1))
    yield of_hundred("gather", *gather, draw=lambda d, *s: [d.normal(*s), d.places(s[1], *s)])
    select = (lambda t: lambda x, i: x.index_select(0, i), lambda np: lambda x, i: x.take(i, 0))
    yield of_hundred("index_select", *select, draw=lambda d, *s: [d.normal(*s), d.places(s[0], s[0])])

    def added(np: Any) -> Callable[..., Any]:
        def f(x: Any, i: Any, y: Any) -> Any:
            z = x.copy()
            np.add.at(z, i, y)
            return z

        return f

    drawn = lambda d, n: [d.normal(n), d.places(n, n), d.normal(n)]  # noqa: E731
    in_torch = lambda t: lambda x, i, y: x.scatter_add(0, i, y)  # noqa: E731
    yield Row("reduce/scatter_add", vector, in_torch, added, lambda _: lambda x, i, y: x.at[i].add(y), drawn)


def cross_entropy_jax(j: Any) -> Callable[..., Any]:
    def loss(x: Any, classes: Any) -> Any:
        return -j.numpy.take_along_axis(j.nn.log_softmax(x, axis=1), classes[:, None], 1).mean()

    return loss


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

    def build_jax(j: Any) -> Callable[..., Any]:
        def loss(w1: Any, b1: Any, w2: Any, b2: Any, x: Any, classes: Any) -> Any:
            return cross_entropy_jax(j)(j.nn.relu(x @ w1 + b1) @ w2 + b2, classes)

        return loss

    name = "elementwise/perceptron 784-256-10"
    fixed = {"sizes": (128,), "dtypes": ("f32",)}
    return Row(name, vector, build, jax=build_jax, draw=draw, gradient=True, constants=2, **fixed)


@lru_cache(1)
def drawn(row: Row, dtype: str, shape: tuple[int, ...]) -> list[Any]:
    """The operands; the peers of a row, which follow one another, have the same."""
    return row.draw(Draw(dtype), *shape)


def row_numpy(row: Row, dtype: str, shape: tuple[int, ...]) -> Run:
    return partial(row.numpy(load("numpy")), *drawn(row, dtype, shape))


def row_torch(row: Row, dtype: str, shape: tuple[int, ...], what: str) -> Run:
    torch = load("torch")
    operands = [torch.from_numpy(x) for x in drawn(row, dtype, shape)]
    f = row.torch(torch)
    if what == "forward":
        return partial(f, *operands)
    tracked = [x.requires_grad_() for x in operands[: len(operands) - row.constants]]
    return lambda: torch.autograd.grad(f(*operands).sum(), tracked)


def row_jax(row: Row, dtype: str, shape: tuple[int, ...], what: str) -> Run:
    jax = load("jax")
    operands = [load("jax.numpy").asarray(x) for x in drawn(row, dtype, shape)]
    f = row.jax(jax) if row.jax else row.numpy(load("jax.numpy"))
    if what == "forward":
        return jitted(lambda *x: f(*x), *operands)
    tracked = tuple(range(len(operands) - row.constants))
    return jitted(jax.value_and_grad(lambda *x: f(*x).sum(), tracked), *operands)


def row_benchmarks() -> Iterator[Benchmark]:
    for row in rows():
        for dtype, n in itertools.product(row.dtypes, row.sizes):
            shape = row.shape(n)
            if not shape[0]:
                continue  # rows too long for so few elements
            for what in ("forward", "gradient") if row.gradient else ("forward",):
                id = f"{row.name}/{dtype}/{what}/{n}"
                if row.numpy and what == "forward":
                    yield Benchmark(id, "numpy", partial(row_numpy, row, dtype, shape))
                yield Benchmark(id, "torch", partial(row_torch, row, dtype, shape, what))
                yield Benchmark(id, "jax", partial(row_jax, row, dtype, shape, what))


def least_squares_benchmarks() -> Iterator[Benchmark]:
    peers = {
        "numpy": least_squares_numpy,
        "torch": least_squares_torch,
        "jax": least_squares_jax,
        "autograd": least_squares_autograd,
        "numpy_pitfall": least_squares_numpy_pitfall,
    }
    # The peers have one form, and are measured beside each of ours that is compared with them.
    forms = {"": list(peers), ", fused": ["numpy", "torch", "jax"], ", by hand": ["numpy"]}
    for (form, names), dtype, d in itertools.product(forms.items(), DTYPES, SIZES):
        for peer in names:
            id = f"least_squares/least squares{form}/{dtype}/gradient/{d}"
            yield Benchmark(id, peer, partial(checked, peers[peer], dtype, d))


def derivative_benchmarks() -> Iterator[Benchmark]:
    for what, n in ((GRADIENT, 200), (GRADIENT, 1000), (HESSIAN, 200), (PRODUCT, 200)):
        id = f"derivatives/{what}/f64/gradient/{n}"
        yield Benchmark(id, "torch", partial(rosenbrock_torch, what, n))
        yield Benchmark(id, "jax", partial(rosenbrock_jax, what, n))
        if what == GRADIENT:
            yield Benchmark(id, "autograd", partial(rosenbrock_autograd, what, n))
        if what == HESSIAN:
            yield Benchmark(id, "torch_vectorized", partial(rosenbrock_torch, what, n, vectorize=True))
    yield Benchmark("derivatives/a layer's Jacobian by a vector/f64/gradient/200", "torch", jvp_layer_torch)
    yield Benchmark("derivatives/a vector by a layer's Jacobian/f64/gradient/200", "torch", vjp_layer_torch)
    for (form, peers), what in itertools.product(
        {"": (loop_torch, loop_jax), ", step by step": (loop_torch,)}.items(), ("forward", "gradient")
    ):
        for peer in peers:
            id = f"derivatives/1000 steps of Runge-Kutta{form}/f64/{what}/1"
            yield Benchmark(id, peer.__name__.removeprefix("loop_"), partial(peer, what == "gradient"))


def benchmarks() -> Iterator[Benchmark]:
    yield from row_benchmarks()
    for name, n in (("w x + b", 1), ("1000 sin", 1), ("100 multiply-adds", 10)):
        for peer, build in (("torch", engine_torch), ("jax", engine_jax), ("autograd", engine_autograd)):
            yield Benchmark(f"engine/{name}/f64/gradient/{n}", peer, partial(build, name))
    yield from derivative_benchmarks()
    yield from least_squares_benchmarks()
    for op, shape in linalg.works():
        for dtype in DTYPES:
            for what in ("forward", "gradient"):
                id = f"linalg/{op}/{dtype}/{what}/{linalg.size(shape)}"
                yield Benchmark(id, "torch", partial(linalg_torch, op, dtype, what, shape))
    for work in sparse.WORKS:
        id = f"sparse/{work}/{sparse.ROWS}"
        yield Benchmark(id, "scipy", partial(sparse_scipy, work))
        yield Benchmark(id, "torch", partial(sparse_torch, work))


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
    parser.add_argument("--peers", type=re.compile, default="", help="regex on the peers")
    parser.add_argument("--seconds", type=float, default=1.0, help="per benchmark")
    parser.add_argument("--threads", type=int, help="run on that many cores only")
    parser.add_argument("--serve", action="store_true", help="measure what comes line by line: PEER ID")
    options = parser.parse_args()
    if options.threads:
        # Before the libraries load: all of them size their thread pools by the affinity.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.threads])

    chosen = [b for b in benchmarks() if re.search(options.filter, b.id) and re.search(options.peers, b.peer)]
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
    chosen = [b for b in chosen if {"numpy", library(b)} <= present]
    known = {"rows": [f"{b.peer} {b.id}" for b in chosen]} if options.serve else {}
    print(json.dumps({"versions": header, "threads": threads, "cpu": cpu_name()} | known), flush=True)

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
