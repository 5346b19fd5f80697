"""The problems of crates/optimize/tests/more/problems.rs in JAX: name, residuals, start, least sum of squares."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np

SOURCE = Path(__file__).parents[2] / "crates/optimize/tests/more/problems.rs"


def constants() -> dict[str, np.ndarray]:
    """The data of the problems, from the source that has them."""
    found = re.findall(r"const (\w+): [^=]*=\s*(\[[^;]*?\]);", SOURCE.read_text())
    return {name: np.array(eval(re.sub(r"\.(?=[,\]])", ".0", text))) for name, text in found}  # noqa: S307


def rosenbrock(x):
    a, b = x[::2], x[1::2]
    return jnp.concatenate([10 * (b - a**2), 1 - a])


def powell(x):
    a, b, c, d = x[::4], x[1::4], x[2::4], x[3::4]
    return jnp.concatenate([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def chebyquad(x):
    n, y = x.size, 2 * x - 1
    before, now, out = jnp.ones(n), y, []
    for i in range(1, n + 1):
        out.append(now.mean() - (-1 / (i * i - 1) if i % 2 == 0 else 0.0))
        before, now = now, 2 * y * now - before
    return jnp.stack(out)


def watson(x):
    t, n = jnp.arange(1, 30) / 29, x.size
    slope = sum(j * x[j] * t ** (j - 1) for j in range(1, n))
    value = sum(x[j] * t**j for j in range(n))
    return jnp.concatenate([slope - value**2 - 1, x[:1], (x[1] - x[0] ** 2 - 1)[None]])


def near(x):
    """Sums of the neighbours, zero beyond both ends."""
    return jnp.pad(x, (1, 0))[:-1], jnp.pad(x, (0, 1))[1:]


def integral(x):
    t = jnp.arange(1, 11) / 11
    cubes = (x + t + 1) ** 3
    above = (1 - t) * cubes
    return x + ((1 - t) * jnp.cumsum(t * cubes) + t * (above.sum() - jnp.cumsum(above))) / 22


def banded(x):
    u = x * (1 + x)
    band = sum(jnp.pad(u, (k, 0))[:10] for k in range(1, 6)) + near(u)[1]
    return x * (2 + 5 * x**2) + 1 - band


def helical(x):
    turn = jnp.arctan2(x[1], x[0]) / (2 * jnp.pi)
    return jnp.stack([10 * (x[2] - 10 * turn), 10 * (jnp.hypot(x[0], x[1]) - 1), x[2]])


def penalty2(x):
    n, a = x.size, 1e-5**0.5
    i = jnp.arange(1, n + 1)
    y = jnp.exp(i / 10) + jnp.exp((i - 1) / 10)
    return jnp.concatenate(
        [
            x[:1] - 0.2,
            a * (jnp.exp(x[1:] / 10) + jnp.exp(x[:-1] / 10) - y[1:]),
            a * (jnp.exp(x[1:] / 10) - jnp.exp(-0.1)),
            (((n + 1 - i) * x**2).sum() - 1)[None],
        ]
    )


def problems():
    c = constants()
    t10, one = jnp.arange(1, 11) / 10, jnp.ones
    i = lambda n: jnp.arange(1, n + 1)  # noqa: E731
    count = np.arange(1, 11)
    u = i(15)
    y, k = c["KOWALIK"]
    bvp = count / 11 * (count / 11 - 1)
    o1, o2 = 10.0 * jnp.arange(33), jnp.arange(65) / 10
    t20, t99, t13 = i(20) / 5, i(99) / 100, i(13) / 10
    gulf = 25 + (-50 * jnp.log(t99)) ** (2 / 3)
    biggs = jnp.exp(-t13) - 5 * jnp.exp(-10 * t13) + 3 * jnp.exp(-4 * t13)
    t_gauss = (8 - u) / 2
    peak = lambda x, j: x[j + 1] * jnp.exp(-((o2 - x[j + 8]) ** 2) * x[j + 5])  # noqa: E731
    join = jnp.concatenate
    return [
        ("linear, full rank", lambda x: join([x - x.sum() / 5 - 1, (-x.sum() / 5 - 1) * one(5)]), [1.0] * 5, 5.0),
        ("linear, rank one", lambda x: (x * i(5)).sum() * i(10) - 1, [1.0] * 5, 15 / 7),
        (
            "linear, rank one, zeros",
            lambda x: join([-one(1), (x[1:4] * jnp.arange(2, 5)).sum() * i(8) - 1, -one(1)]),
            [1.0] * 5,
            124 / 34,
        ),
        ("Rosenbrock", rosenbrock, [-1.2, 1.0], 0.0),
        ("helical valley", helical, [-1.0, 0.0, 0.0], 0.0),
        ("Powell singular", powell, [3.0, -1.0, 0.0, 1.0], 0.0),
        (
            "Freudenstein and Roth",
            lambda x: jnp.stack(
                [x[0] - 13 + ((5 - x[1]) * x[1] - 2) * x[1], x[0] - 29 + ((x[1] + 1) * x[1] - 14) * x[1]]
            ),
            [0.5, -2.0],
            0.0,
        ),
        (
            "Bard",
            lambda x: c["BARD"] - (x[0] + u / ((16 - u) * x[1] + jnp.minimum(u, 16 - u) * x[2])),
            [1.0] * 3,
            8.21487e-3,
        ),
        (
            "Kowalik and Osborne",
            lambda x: y - x[0] * (k**2 + k * x[1]) / (k**2 + k * x[2] + x[3]),
            [0.25, 0.39, 0.415, 0.39],
            3.07505e-4,
        ),
        ("Meyer", lambda x: x[0] * jnp.exp(x[1] / (45 + 5 * i(16) + x[2])) - c["MEYER"], [0.02, 4000, 250], 87.9458),
        ("Watson, 6", watson, [0.0] * 6, 2.28767e-3),
        ("Watson, 9", watson, [0.0] * 9, 1.39976e-6),
        (
            "Box, three dimensions",
            lambda x: jnp.exp(-t10 * x[0]) - jnp.exp(-t10 * x[1]) - x[2] * (jnp.exp(-t10) - jnp.exp(-10 * t10)),
            [0.0, 10.0, 20.0],
            0.0,
        ),
        (
            "Jennrich and Sampson",
            lambda x: 2 + 2 * i(10) - (jnp.exp(i(10) * x[0]) + jnp.exp(i(10) * x[1])),
            [0.3, 0.4],
            124.362,
        ),
        (
            "Brown and Dennis",
            lambda x: (x[0] + t20 * x[1] - jnp.exp(t20)) ** 2 + (x[2] + x[3] * jnp.sin(t20) - jnp.cos(t20)) ** 2,
            [25.0, 5.0, -5.0, -1.0],
            85822.2,
        ),
        ("Chebyquad, 8", chebyquad, np.arange(1, 9) / 9, 3.51687e-3),
        ("Brown almost linear, 10", lambda x: join([x[:9] + x.sum() - 11, x.prod()[None] - 1]), [0.5] * 10, 0.0),
        (
            "Osborne 1",
            lambda x: c["OSBORNE1"] - (x[0] + x[1] * jnp.exp(-o1 * x[3]) + x[2] * jnp.exp(-o1 * x[4])),
            [0.5, 1.5, -1.0, 0.01, 0.02],
            5.46489e-5,
        ),
        (
            "Osborne 2",
            lambda x: c["OSBORNE2"] - (x[0] * jnp.exp(-o2 * x[4]) + peak(x, 0) + peak(x, 1) + peak(x, 2)),
            [1.3, 0.65, 0.65, 0.7, 0.6, 3.0, 5.0, 7.0, 2.0, 4.5, 5.5],
            4.01377e-2,
        ),
        (
            "Beale",
            lambda x: jnp.stack([v - x[0] * (1 - x[1] ** p) for v, p in ((1.5, 1), (2.25, 2), (2.625, 3))]),
            [1.0, 1.0],
            0.0,
        ),
        (
            "Wood",
            lambda x: jnp.stack(
                [
                    10 * (x[1] - x[0] ** 2),
                    1 - x[0],
                    90**0.5 * (x[3] - x[2] ** 2),
                    1 - x[2],
                    10**0.5 * (x[1] + x[3] - 2),
                    (x[1] - x[3]) / 10**0.5,
                ]
            ),
            [-3.0, -1.0, -3.0, -1.0],
            0.0,
        ),
        (
            "Gaussian",
            lambda x: x[0] * jnp.exp(-x[1] * (t_gauss - x[2]) ** 2 / 2) - c["GAUSSIAN"],
            [0.4, 1.0, 0.0],
            1.12793e-8,
        ),
        ("Gulf", lambda x: jnp.exp(-(jnp.abs(gulf - x[1]) ** x[2]) / x[0]) - t99, [5.0, 2.5, 0.15], 0.0),
        (
            "Powell badly scaled",
            lambda x: jnp.stack([1e4 * x[0] * x[1] - 1, jnp.exp(-x[0]) + jnp.exp(-x[1]) - 1.0001]),
            [0.0, 1.0],
            0.0,
        ),
        ("Brown badly scaled", lambda x: jnp.stack([x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2]), [1.0, 1.0], 0.0),
        (
            "Biggs EXP6",
            lambda x: x[2] * jnp.exp(-t13 * x[0]) - x[3] * jnp.exp(-t13 * x[1]) + x[5] * jnp.exp(-t13 * x[4]) - biggs,
            [1.0, 2.0, 1.0, 1.0, 1.0, 1.0],
            0.0,
        ),
        (
            "penalty I, 4",
            lambda x: join([1e-5**0.5 * (x - 1), (x**2).sum()[None] - 0.25]),
            [1.0, 2.0, 3.0, 4.0],
            2.24997e-5,
        ),
        ("penalty II, 4", penalty2, [0.5] * 4, 9.37629e-6),
        (
            "variably dimensioned, 10",
            lambda x: (lambda s: join([x - 1, s[None], s[None] ** 2]))(((x - 1) * i(10)).sum()),
            1 - count / 10,
            0.0,
        ),
        (
            "trigonometric, 10",
            lambda x: 10 - jnp.cos(x).sum() + i(10) * (1 - jnp.cos(x)) - jnp.sin(x),
            [0.1] * 10,
            0.0,
        ),
        ("extended Rosenbrock, 10", rosenbrock, [-1.2, 1.0] * 5, 0.0),
        ("extended Powell singular, 12", powell, [3.0, -1.0, 0.0, 1.0] * 3, 0.0),
        (
            "discrete boundary value, 10",
            lambda x: 2 * x - sum(near(x)) + (x + i(10) / 11 + 1) ** 3 / 242,
            bvp,
            0.0,
        ),
        ("discrete integral equation, 10", integral, bvp, 0.0),
        ("Broyden tridiagonal, 10", lambda x: (3 - 2 * x) * x - near(x)[0] - 2 * near(x)[1] + 1, [-1.0] * 10, 0.0),
        ("Broyden banded, 10", banded, [-1.0] * 10, 0.0),
    ]
