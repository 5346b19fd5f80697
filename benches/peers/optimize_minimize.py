"""SciPy on the problems of crates/optimize/benches/minimize.rs, with gradients and products by JAX, jitted, in double precision, or, where the
row says so, by hand in NumPy; and PyTorch's Adam. One JSON line for each row; with the Rust bench's lines as the argument, a table.

    cargo bench -p tapegrad-optimize --bench minimize > rust.jsonl
    python optimize_minimize.py rust.jsonl
"""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize as so
import torch

jax.config.update("jax_enable_x64", True)
torch.set_num_threads(2)

NAMES = {"SLSQP": "Slsqp", "trust-constr": "AugmentedLagrangian", "L-BFGS-B": "Lbfgs", "Newton-CG": "NewtonCg", "trust-ncg": "TrustNcg", "trust-exact": "TrustExact"}


def count(a, b):
    return jnp.arange(a, b + 1, dtype=float)


def rosenbrock(x):
    return 100 * jnp.sum((x[1:] - x[:-1] ** 2) ** 2) + jnp.sum((1 - x[:-1]) ** 2)


def freudenstein_roth(v):
    x, y = v
    return (((5 - y) * y - 2) * y + x - 13) ** 2 + (((y + 1) * y - 14) * y + x - 29) ** 2


def powell_badly_scaled(v):
    x, y = v
    return (1e4 * x * y - 1) ** 2 + (jnp.exp(-x) + jnp.exp(-y) - 1.0001) ** 2


def brown_badly_scaled(v):
    x, y = v
    return (x - 1e6) ** 2 + (y - 2e-6) ** 2 + (x * y - 2) ** 2


def beale(v):
    x, y = v
    return sum((c - x * (1 - y**k)) ** 2 for c, k in [(1.5, 1), (2.25, 2), (2.625, 3)])


def jennrich_sampson(x):
    i = count(1, 10)
    return jnp.sum((2 + 2 * i - jnp.exp(i * x[0]) - jnp.exp(i * x[1])) ** 2)


def helical_valley(v):
    x, y, z = v
    turn = jnp.arctan2(y, x) / (2 * jnp.pi)
    return (10 * (z - 10 * turn)) ** 2 + (10 * (jnp.sqrt(x**2 + y**2) - 1)) ** 2 + z**2


def bard(x):
    y = jnp.array([0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39])
    u = count(1, 15)
    v = 16 - u
    return jnp.sum((y - (x[0] + u / (v * x[1] + jnp.minimum(u, v) * x[2]))) ** 2)


def gaussian(x):
    y = [0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521]
    y = jnp.array(y + [0.3989] + y[::-1])
    t = (8 - count(1, 15)) / 2
    return jnp.sum((x[0] * jnp.exp(-x[1] * (t - x[2]) ** 2 / 2) - y) ** 2)


def meyer(x):
    y = jnp.array(
        [34780.0, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
    )
    return jnp.sum((x[0] * jnp.exp(x[1] / (45 + 5 * count(1, 16) + x[2])) - y) ** 2)


def gulf(x):
    t = count(1, 99) / 100
    y = 25 + (-50 * jnp.log(t)) ** (2 / 3)
    return jnp.sum((jnp.exp(-jnp.exp(x[2] * jnp.log(jnp.abs(y - x[1]))) / x[0]) - t) ** 2)


def box_3d(x):
    t = count(1, 10) / 10
    return jnp.sum((jnp.exp(-t * x[0]) - jnp.exp(-t * x[1]) - x[2] * (jnp.exp(-t) - jnp.exp(-10 * t))) ** 2)


def powell_singular(x):
    a, b, c, d = x.reshape(-1, 4).T
    return jnp.sum((a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4)


def wood(x):
    a, b, c, d = x.reshape(-1, 4).T
    first = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
    return jnp.sum(first + 10 * (b + d - 2) ** 2 + (b - d) ** 2 / 10)


def kowalik_osborne(x):
    y = jnp.array([0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246])
    u = jnp.array([4.0, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])
    return jnp.sum((y - x[0] * (u**2 + u * x[1]) / (u**2 + u * x[2] + x[3])) ** 2)


def brown_dennis(x):
    t = count(1, 20) / 5
    a = (x[0] + t * x[1] - jnp.exp(t)) ** 2
    return jnp.sum((a + (x[2] + x[3] * jnp.sin(t) - jnp.cos(t)) ** 2) ** 2)


OSBORNE_1 = """0.844 0.908 0.932 0.936 0.925 0.908 0.881 0.850 0.818 0.784 0.751 0.718 0.685 0.658 0.628 0.603 0.580 0.558
0.538 0.522 0.506 0.490 0.478 0.467 0.457 0.448 0.438 0.431 0.424 0.420 0.414 0.411 0.406"""
OSBORNE_2 = """1.366 1.191 1.112 1.013 0.991 0.885 0.831 0.847 0.786 0.725 0.746 0.679 0.608 0.655 0.616 0.606 0.602 0.626 0.651
0.724 0.649 0.649 0.694 0.644 0.624 0.661 0.612 0.558 0.533 0.495 0.500 0.423 0.395 0.375 0.372 0.391 0.396 0.405 0.428 0.429
0.523 0.562 0.607 0.653 0.672 0.708 0.633 0.668 0.645 0.632 0.591 0.559 0.597 0.625 0.739 0.710 0.729 0.720 0.636 0.581 0.428
0.292 0.162 0.098 0.054"""


def osborne_1(x):
    y = jnp.array([float(v) for v in OSBORNE_1.split()])
    t = 10 * count(0, 32)
    return jnp.sum((y - (x[0] + x[1] * jnp.exp(-t * x[3]) + x[2] * jnp.exp(-t * x[4]))) ** 2)


def biggs(x):
    t = count(1, 13) / 10
    y = jnp.exp(-t) - 5 * jnp.exp(-10 * t) + 3 * jnp.exp(-4 * t)
    return jnp.sum((x[2] * jnp.exp(-t * x[0]) - x[3] * jnp.exp(-t * x[1]) + x[5] * jnp.exp(-t * x[4]) - y) ** 2)


def osborne_2(x):
    y = jnp.array([float(v) for v in OSBORNE_2.split()])
    t = count(0, 64) / 10
    model = x[0] * jnp.exp(-t * x[4])
    for k in range(3):
        model = model + x[1 + k] * jnp.exp(-((t - x[8 + k]) ** 2) * x[5 + k])
    return jnp.sum((y - model) ** 2)


def watson(x):
    t = (count(1, 29) / 29)[:, None]
    j = count(0, len(x) - 1)
    slopes = j * t ** jnp.maximum(j - 1, 0)
    return jnp.sum((slopes @ x - (t**j @ x) ** 2 - 1) ** 2) + x[0] ** 2 + (x[1] - x[0] ** 2 - 1) ** 2


def extended_rosenbrock(x):
    a, b = x.reshape(-1, 2).T
    return jnp.sum(100 * (b - a**2) ** 2 + (1 - a) ** 2)


def penalty_1(x):
    return 1e-5 * jnp.sum((x - 1) ** 2) + (jnp.sum(x**2) - 0.25) ** 2


def penalty_2(x):
    n = len(x)
    e = jnp.exp(x / 10)
    pairs = e[1:] + e[:-1] - (jnp.exp(count(2, n) / 10) + jnp.exp(count(1, n - 1) / 10))
    last = (jnp.sum((n + 1 - count(1, n)) * x**2) - 1) ** 2
    return (x[0] - 0.2) ** 2 + 1e-5 * (jnp.sum(pairs**2) + jnp.sum((e[1:] - np.exp(-0.1)) ** 2)) + last


def variably_dimensioned(x):
    s = jnp.sum(count(1, len(x)) * (x - 1))
    return jnp.sum((x - 1) ** 2) + s**2 + s**4


def trigonometric(x):
    n = len(x)
    return jnp.sum((n - jnp.sum(jnp.cos(x)) + count(1, n) * (1 - jnp.cos(x)) - jnp.sin(x)) ** 2)


def brown_almost_linear(x):
    return jnp.sum((x + jnp.sum(x) - (len(x) + 1))[:-1] ** 2) + (jnp.prod(x) - 1) ** 2


def neighbours(x):
    return jnp.pad(x, (1, 0))[:-1], jnp.pad(x, (0, 1))[1:]


def discrete_boundary_value(x):
    n = len(x)
    h = 1 / (n + 1)
    a, b = neighbours(x)
    return jnp.sum((2 * x - a - b + h**2 / 2 * (x + count(1, n) * h + 1) ** 3) ** 2)


def broyden_tridiagonal(x):
    a, b = neighbours(x)
    return jnp.sum(((3 - 2 * x) * x - a - 2 * b + 1) ** 2)


def chebyquad(x):
    y = 2 * x - 1
    before, polynomial, total = jnp.ones_like(y), y, 0.0
    for i in range(1, len(x) + 1):
        integral = -1 / (i * i - 1) if i % 2 == 0 else 0.0
        total = total + (jnp.mean(polynomial) - integral) ** 2
        before, polynomial = polynomial, 2 * y * polynomial - before
    return total


def more_garbow_hillstrom():
    points = lambda n: np.arange(1, n + 1) / (n + 1)
    return [
        ("Rosenbrock", [-1.2, 1.0], rosenbrock, [0.0]),
        ("Freudenstein-Roth", [0.5, -2.0], freudenstein_roth, [0.0, 48.98425367]),
        ("Powell badly scaled", [0.0, 1.0], powell_badly_scaled, [0.0]),
        ("Brown badly scaled", [1.0, 1.0], brown_badly_scaled, [0.0]),
        ("Beale", [1.0, 1.0], beale, [0.0]),
        ("Jennrich-Sampson", [0.3, 0.4], jennrich_sampson, [124.3621824]),
        ("helical valley", [-1.0, 0.0, 0.0], helical_valley, [0.0]),
        ("Bard", [1.0] * 3, bard, [8.214877307e-3, 17.42869333]),
        ("Gaussian", [0.4, 1.0, 0.0], gaussian, [1.127932770e-8]),
        ("Meyer", [0.02, 4000.0, 250.0], meyer, [87.94585517]),
        ("Gulf", [5.0, 2.5, 0.15], gulf, [0.0]),
        ("Box", [0.0, 10.0, 20.0], box_3d, [0.0]),
        ("Powell singular", [3.0, -1.0, 0.0, 1.0], powell_singular, [0.0]),
        ("Wood", [-3.0, -1.0, -3.0, -1.0], wood, [0.0]),
        ("Kowalik-Osborne", [0.25, 0.39, 0.415, 0.39], kowalik_osborne, [3.075056039e-4, 1.02734e-3]),
        ("Brown-Dennis", [25.0, 5.0, -5.0, -1.0], brown_dennis, [85822.20163]),
        ("Osborne 1", [0.5, 1.5, -1.0, 0.01, 0.02], osborne_1, [5.464894697e-5]),
        ("Biggs EXP6", [1.0, 2.0, 1.0, 1.0, 1.0, 1.0], biggs, [0.0, 5.655649925e-3]),
        ("Osborne 2", [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5], osborne_2, [4.013774e-2]),
        ("Watson 6", [0.0] * 6, watson, [2.287670054e-3]),
        ("Watson 9", [0.0] * 9, watson, [1.399760138e-6]),
        ("extended Rosenbrock 10", [-1.2, 1.0] * 5, extended_rosenbrock, [0.0]),
        ("extended Powell 12", [3.0, -1.0, 0.0, 1.0] * 3, powell_singular, [0.0]),
        ("penalty I 4", np.arange(1.0, 5), penalty_1, [2.249977501e-5]),
        ("penalty I 10", np.arange(1.0, 11), penalty_1, [7.087651e-5]),
        ("penalty II 4", [0.5] * 4, penalty_2, [9.376293e-6]),
        ("penalty II 10", [0.5] * 10, penalty_2, [2.936605e-4]),
        ("variably dimensioned 10", 1 - np.arange(1, 11) / 10, variably_dimensioned, [0.0]),
        ("trigonometric 10", [0.1] * 10, trigonometric, [0.0, 2.795056e-5]),
        ("Brown almost-linear 10", [0.5] * 10, brown_almost_linear, [0.0, 1.0]),
        ("discrete boundary value 10", points(10) * (points(10) - 1), discrete_boundary_value, [0.0]),
        ("Broyden tridiagonal 10", [-1.0] * 10, broyden_tridiagonal, [0.0]),
        ("Chebyquad 7", points(7), chebyquad, [0.0]),
        ("Chebyquad 8", points(8), chebyquad, [3.516873726e-3]),
    ]


class Counted:
    """A function of JAX as SciPy calls it: value and gradient, and products with the Hessian."""

    def __init__(self, f, by_hand=None):
        self.value_and_grad = by_hand or jax.jit(jax.value_and_grad(f))
        self.product = jax.jit(lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1])
        self.hessian = jax.jit(jax.hessian(f))
        self.values = self.products = 0

    def both(self, x):
        self.values += 1
        value, g = self.value_and_grad(x)
        return float(value), np.asarray(g)

    def hessp(self, x, v):
        self.products += 1
        return np.asarray(self.product(x, v))

    def hess(self, x):
        self.products += len(x)
        return np.asarray(self.hessian(x))

    def minimize(self, x0, method, **more):
        if method in ("Newton-CG", "trust-ncg"):
            more["hessp"] = self.hessp
        if method == "trust-exact":
            more["hess"] = self.hess
        return so.minimize(self.both, x0, jac=True, method=method, **more)


def timed(run, least=0.5, most=30):
    run()
    times = []
    end = time.perf_counter() + least
    while not times or (time.perf_counter() < end and len(times) < most):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return float(np.median(times))


def row(name, method, f, x0, by_hand=None, **more):
    counted = Counted(f, by_hand)
    run = lambda: counted.minimize(np.asarray(x0, float), method, **more)
    run()
    counted.values = counted.products = 0
    found = run()
    out = dict(problem=name, method=NAMES.get(method, method), value=float(found.fun), evaluations=counted.values)
    out.update(products=counted.products, iterations=int(found.nit), seconds=timed(run))
    return out


def solved(method):
    counts = []
    for factor in (1.0, 10.0, 100.0):
        n, failed = 0, []
        for name, x0, f, minima in more_garbow_hillstrom():
            counted = Counted(f)
            try:
                found = counted.minimize(factor * np.asarray(x0, float), method)
                value = found.fun
                line = dict(problem=f"{name} from {factor:g}", method=NAMES[method], value=float(value))
                print(json.dumps(line | dict(evaluations=counted.values, products=counted.products)), flush=True)
            except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
                failed.append(f"{name} ({error})")
                continue
            if any(abs(value - m) <= 1e-4 * (m or 1.0) for m in minima):
                n += 1
            else:
                failed.append(f"{name} ({value:.3e})")
        counts.append(n)
        print(f"{method} from {factor}: {n} solved, not: {'; '.join(failed)}", file=sys.stderr)
    return dict(problem="More-Garbow-Hillstrom solved", method=NAMES[method], solved=counts)


def data(n, d):
    """The numbers that the Rust bench makes: no generator is the same in both."""
    i = np.arange(n)[:, None]
    j = np.arange(d)[None, :]
    a = np.sin(1.0 + 3.7 * i + 1.3 * j * (1 + 0.1 * i)) + np.cos(0.9 * i * j)
    y = (np.sin(np.arange(n) * 1.7) + 0.5 * a[:, 0] - 0.3 * a[:, 1] > 0).astype(float)
    return a, y


def standard():
    a, y = data(2000, 20)
    aj, yj = jnp.array(a), jnp.array(y)

    def logistic(w):
        z = aj @ w
        return jnp.mean(jax.nn.softplus(z) - yj * z) + 5e-4 * jnp.sum(w**2)

    def logistic_by_hand(w):
        z = a @ w
        value = np.mean(np.logaddexp(0, z) - y * z) + 5e-4 * w @ w
        return value, a.T @ (1 / (1 + np.exp(-z)) - y) / len(y) + 1e-3 * w

    def rosenbrock_by_hand(x):
        u = x[1:] - x[:-1] ** 2
        v = 1 - x[:-1]
        g = np.zeros_like(x)
        g[1:] += 200 * u
        g[:-1] += -400 * x[:-1] * u - 2 * v
        return 100 * u @ u + v @ v, g

    n = 10_000
    weights = jnp.array(1 + np.arange(n) % 100)
    pull = jnp.array(np.sin(np.arange(n)))

    def chain(x):
        return jnp.sum(weights * (x - pull) ** 2) / 2 + jnp.sum((x[1:] - x[:-1]) ** 4)

    target = jnp.linspace(-1, 1, 1000)
    stiff = jnp.linspace(1, 50, 1000)

    def bounded(x):
        return jnp.sum(stiff * (x - target) ** 2) + 1e-3 * (jnp.mean(x) - 3) ** 4

    far = [-1.2, 1.0] * 500
    yield row("Rosenbrock 2", "L-BFGS-B", rosenbrock, [-1.2, 1.0])
    yield row("Rosenbrock 2", "trust-exact", rosenbrock, [-1.2, 1.0])
    most = dict(options=dict(maxiter=15000, maxfun=15000))
    yield row("Rosenbrock 1000", "L-BFGS-B", rosenbrock, far, **most)
    yield row("Rosenbrock 1000, by hand", "L-BFGS-B", rosenbrock, far, rosenbrock_by_hand, **most)
    yield row("Rosenbrock 1000", "Newton-CG", rosenbrock, far)
    yield row("Rosenbrock 1000", "trust-ncg", rosenbrock, far)
    yield row("logistic regression 2000 x 20", "L-BFGS-B", logistic, [0.0] * 20)
    yield row("logistic regression 2000 x 20, by hand", "L-BFGS-B", logistic, np.zeros(20), logistic_by_hand)
    yield row("logistic regression 2000 x 20", "trust-ncg", logistic, [0.0] * 20)
    yield row("chain 10000", "L-BFGS-B", chain, np.zeros(n))
    yield row("chain 10000", "Newton-CG", chain, np.zeros(n))
    yield row("bounded 1000", "L-BFGS-B", bounded, np.ones(1000), bounds=[(0, None)] * 1000)
    for problem in constrained():
        yield problem


def constrained():
    def both(f):
        return jax.jit(jax.value_and_grad(f))

    def constraint(kind, c):
        value, slope = jax.jit(c), jax.jit(jax.jacobian(c))
        return dict(type=kind, fun=lambda x: np.asarray(value(x)), jac=lambda x: np.asarray(slope(x)))

    w = jnp.array([[1.0, 1, 1, 1], [1, 2, 1, 2], [2, 1, 1, 0]])
    s = jnp.array([[1.0, -1, 1, -1], [-1, 0, 0, -1], [2, -1, 0, -1]])
    most = jnp.array([8.0, 10, 5])
    risks, returns = jnp.linspace(0.1, 2.0, 50), jnp.linspace(0.5, 1.5, 50)
    problems = [
        ("HS 6", lambda x: (1 - x[0]) ** 2, [-1.2, 1.0], None, [constraint("eq", lambda x: 10 * (x[1] - x[0] ** 2))]),
        (
            "HS 7",
            lambda x: jnp.log(1 + x[0] ** 2) - x[1],
            [2.0, 2],
            None,
            [constraint("eq", lambda x: (1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4)],
        ),
        (
            "HS 26",
            lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
            [-2.6, 2, 2],
            None,
            [constraint("eq", lambda x: (1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3)],
        ),
        (
            "HS 35",
            lambda x: 9 - 8 * x[0] - 6 * x[1] - 4 * x[2] + 2 * x[0] ** 2 + 2 * x[1] ** 2 + x[2] ** 2 + 2 * x[0] * (x[1] + x[2]),
            [0.5] * 3,
            [(0, None)] * 3,
            [constraint("ineq", lambda x: 3 - x[0] - x[1] - 2 * x[2])],
        ),
        (
            "HS 100",
            lambda x: (x[0] - 10) ** 2
            + 5 * (x[1] - 12) ** 2
            + x[2] ** 4
            + 3 * (x[3] - 11) ** 2
            + 10 * x[4] ** 6
            + 7 * x[5] ** 2
            + x[6] ** 4
            - 4 * x[5] * x[6]
            - 10 * x[5]
            - 8 * x[6],
            [1.0, 2, 0, 4, 0, 1, 1],
            None,
            [
                constraint(
                    "ineq",
                    lambda x: jnp.array(
                        [
                            127 - 2 * x[0] ** 2 - 3 * x[1] ** 4 - x[2] - 4 * x[3] ** 2 - 5 * x[4],
                            282 - 7 * x[0] - 3 * x[1] - 10 * x[2] ** 2 - x[3] + x[4],
                            196 - 23 * x[0] - x[1] ** 2 - 6 * x[5] ** 2 + 8 * x[6],
                            -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
                        ]
                    ),
                )
            ],
        ),
        (
            "Rosenbrock in a disc",
            rosenbrock,
            [-1.2, 1.0],
            None,
            [constraint("ineq", lambda x: 2 - jnp.sum(x**2))],
        ),
        (
            "portfolio of 50",
            lambda x: jnp.sum(risks * x**2) + jnp.sum(x) ** 2 / 10 - returns @ x,
            [0.02] * 50,
            [(0, None)] * 50,
            [constraint("eq", lambda x: jnp.sum(x) - 1)],
        ),
        (
            "HS 43",
            lambda x: x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
            [0.0] * 4,
            None,
            [constraint("ineq", lambda x: most - w @ x**2 - s @ x)],
        ),
        (
            "HS 71",
            lambda x: x[0] * x[3] * jnp.sum(x[:3]) + x[2],
            [1.0, 5, 5, 1],
            [(1, 5)] * 4,
            [constraint("ineq", lambda x: jnp.prod(x) - 25), constraint("eq", lambda x: jnp.sum(x**2) - 40)],
        ),
    ]
    for name, f, x0, bounds, constraints in problems:
        for method in ("SLSQP", "trust-constr"):
            counted = Counted(f)
            run = lambda: so.minimize(
                counted.both, np.asarray(x0), jac=True, bounds=bounds, constraints=constraints, method=method
            )
            run()
            counted.values = 0
            found = run()
            out = dict(problem=name, method=NAMES[method], value=float(found.fun), evaluations=counted.values)
            out.update(products=0, iterations=int(found.nit), seconds=timed(run))
            yield out


def first_order():
    for name, shapes in (("1M", [1_000_000]), ("100 x 100", [100] * 100)):
        for dtype in (torch.float64, torch.float32):
            params = [torch.ones(n, dtype=dtype, requires_grad=True) for n in shapes]
            for x in params:
                x.grad = torch.full_like(x, 0.01)
            for kind in ("default", "fused"):
                label = f"torch {str(dtype)[6:]} {kind}"
                fused = dict(fused=kind == "fused")
                step = torch.optim.Adam(params, lr=1e-3, **fused).step
                yield dict(problem=f"Adam {name}", method=label, seconds=timed(step, 0.5, 1000))
                step = torch.optim.SGD(params, lr=1e-3, momentum=0.9, **fused).step
                yield dict(problem=f"SGD {name}", method=label, seconds=timed(step, 0.5, 1000))


def table(rust, rows):
    ours = {(r["problem"].split(",")[0], r["method"]): r for r in rust}
    for r in rows:
        key = r["problem"].split(",")[0]
        if "solved" in r:
            mine = ours.get((key, r["method"]), {}).get("solved")
            print(f"| {r['problem']} | {r['method']} | {r['solved']} | {mine} |")
            continue
        mine = ours.get((key, r["method"]))
        if mine is None or "value" not in r:
            print(f"| {r['problem']} | {r['method']} | {r['seconds'] * 1e6:.0f} us |")
            continue
        print(
            f"| {r['problem']} | {r['method']} | {r['value']:.9g} | {mine['value']:.9g} | {r['evaluations']} | {mine['evaluations']} | "
            f"{r['products']} | {mine['products']} | {r['seconds'] * 1e3:.2f} | {mine['seconds'] * 1e3:.2f} | "
            f"{mine['seconds'] / r['seconds']:.3f} |"
        )


if __name__ == "__main__":
    rust = [json.loads(line) for line in open(sys.argv[1]) if line.startswith("{")] if len(sys.argv) > 1 else []
    rows = list(standard()) + list(first_order())
    if "--solved" in sys.argv:
        rows += [solved(method) for method in ("L-BFGS-B", "Newton-CG", "trust-ncg", "trust-exact")]
    for r in rows:
        print(json.dumps(r))
    if rust:
        table(rust, rows)
