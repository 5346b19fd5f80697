"""Least squares in SciPy: the same problems from the same starts as tapegrad's, its Jacobians by hand.

python benches/peers/optimize_least_squares.py mgh          # how many of Moré, Garbow, Hillstrom's problems are solved
python benches/peers/optimize_least_squares.py nist FOLDER  # evaluations and times on NIST's problems and a larger fit;
# with --ours PROGRAM it runs that program, built of crates/optimize/benches/fits.rs, beside them:
# cargo bench -p tapegrad-optimize --bench fits --no-run
"""

import argparse
import json
import pathlib
import re
import subprocess
import time
import warnings

import numpy as np
from scipy.optimize import least_squares

TOLERANCES = {"scipy": {}, "tight": {"ftol": 1e-15, "xtol": 1e-12, "gtol": 1e-14}}


def rational(above: int, below: int):
    """A quotient of polynomials, the lower one beginning with 1."""

    def f(x, b):
        return np.polyval(b[:above][::-1], x) / np.polyval(np.append(b[above:][::-1], 1.0), x)

    def jac(x, b):
        u, v = np.polyval(b[:above][::-1], x), np.polyval(np.append(b[above:][::-1], 1.0), x)
        powers = x[:, None] ** np.arange(max(above, below + 1))
        return np.hstack([powers[:, :above] / v[:, None], -powers[:, 1 : below + 1] * (u / v**2)[:, None]])

    return f, jac


def decays(x, b):
    return (b[::2] * np.exp(-np.outer(x, b[1::2]))).sum(1)


def decays_jac(x, b):
    e = np.exp(-np.outer(x, b[1::2]))
    j = np.empty((x.size, b.size))
    j[:, ::2], j[:, 1::2] = e, -b[::2] * x[:, None] * e
    return j


def gauss(x, b):
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-(((x - b[3]) / b[4]) ** 2)) + b[5] * np.exp(-(((x - b[6]) / b[7]) ** 2))


def gauss_jac(x, b):
    e = np.exp(-b[1] * x)
    columns = [e, -b[0] * x * e]
    for k in (2, 5):
        z = (x - b[k + 1]) / b[k + 2]
        g = np.exp(-(z**2))
        columns += [g, b[k] * g * 2 * z / b[k + 2], b[k] * g * 2 * z**2 / b[k + 2]]
    return np.stack(columns, 1)


def enso(x, b):
    t = 2 * np.pi * x
    wave = lambda p, c, s: c * np.cos(t / p) + s * np.sin(t / p)  # noqa: E731
    return b[0] + wave(12, b[1], b[2]) + wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])


def enso_jac(x, b):
    t = 2 * np.pi * x
    columns = [np.ones_like(x), np.cos(t / 12), np.sin(t / 12)]
    for k in (3, 6):
        c, s = np.cos(t / b[k]), np.sin(t / b[k])
        columns += [(b[k + 1] * s - b[k + 2] * c) * t / b[k] ** 2, c, s]
    return np.stack(columns, 1)


def mgh17(x, b):
    return b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4])


def mgh17_jac(x, b):
    e, f = np.exp(-x * b[3]), np.exp(-x * b[4])
    return np.stack([np.ones_like(x), e, f, -b[1] * x * e, -b[2] * x * f], 1)


def rat43(x, b):
    return b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3])


def rat43_jac(x, b):
    e = np.exp(b[1] - b[2] * x)
    q = 1 + e
    y = q ** (-1 / b[3])
    d = -b[0] * y * e / q / b[3]
    return np.stack([y, d, -x * d, b[0] * y * np.log(q) / b[3] ** 2], 1)


MODELS = {
    "Bennett5": (
        lambda x, b: b[0] * (b[1] + x) ** (-1 / b[2]),
        lambda x, b: np.stack(
            [
                (b[1] + x) ** (-1 / b[2]),
                -b[0] / b[2] * (b[1] + x) ** (-1 / b[2] - 1),
                b[0] * (b[1] + x) ** (-1 / b[2]) * np.log(b[1] + x) / b[2] ** 2,
            ],
            1,
        ),
    ),
    "Chwirut2": (
        lambda x, b: np.exp(-b[0] * x) / (b[1] + b[2] * x),
        lambda x, b: (lambda y, q: np.stack([-x * y, -y / q, -x * y / q], 1))(
            np.exp(-b[0] * x) / (b[1] + b[2] * x), b[1] + b[2] * x
        ),
    ),
    "DanWood": (
        lambda x, b: b[0] * x ** b[1],
        lambda x, b: np.stack([x ** b[1], b[0] * x ** b[1] * np.log(x)], 1),
    ),
    "ENSO": (enso, enso_jac),
    "Gauss1": (gauss, gauss_jac),
    "Gauss2": (gauss, gauss_jac),
    "Kirby2": rational(3, 2),
    "Lanczos1": (decays, decays_jac),
    "Lanczos3": (decays, decays_jac),
    "MGH10": (
        lambda x, b: b[0] * np.exp(b[1] / (x + b[2])),
        lambda x, b: (lambda e, q: np.stack([e, b[0] * e / q, -b[0] * e * b[1] / q**2], 1))(
            np.exp(b[1] / (x + b[2])), x + b[2]
        ),
    ),
    "MGH17": (mgh17, mgh17_jac),
    "Misra1a": (
        lambda x, b: b[0] * (1 - np.exp(-b[1] * x)),
        lambda x, b: (lambda e: np.stack([1 - e, b[0] * x * e], 1))(np.exp(-b[1] * x)),
    ),
    "Misra1b": (
        lambda x, b: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
        lambda x, b: np.stack([1 - (1 + b[1] * x / 2) ** -2, b[0] * x * (1 + b[1] * x / 2) ** -3], 1),
    ),
    "Misra1d": (
        lambda x, b: b[0] * b[1] * x / (1 + b[1] * x),
        lambda x, b: (lambda q: np.stack([b[1] * x / q, b[0] * x / q**2], 1))(1 + b[1] * x),
    ),
    "Rat43": (rat43, rat43_jac),
    "Roszman1": (
        lambda x, b: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
        lambda x, b: (lambda z: np.stack(
            [np.ones_like(x), -x, -1 / (1 + z**2) / (x - b[3]) / np.pi, -z / (1 + z**2) / (x - b[3]) / np.pi], 1
        ))(b[2] / (x - b[3])),
    ),
    "Thurber": rational(4, 3),
}


def read(path: pathlib.Path):
    text = path.read_text()
    rows = re.findall(r"^\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)", text, re.M)
    starts = np.array([[float(a), float(b)] for a, b, _, _ in rows]).T
    certified = np.array([float(c) for _, _, c, _ in rows])
    data = text[text.rindex("Data:") :].splitlines()[1:]
    table = np.array([[float(v) for v in line.split()] for line in data if line.strip()])
    return starts, certified, table[:, 1], table[:, 0]


def timed(run, seconds: float = 0.3) -> float:
    """The fastest of many runs."""
    run()
    end = time.perf_counter() + seconds
    best, runs = float("inf"), 0
    while runs < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
        runs += 1
    return best


def large():
    """Ten peaks over a line: 32 parameters and 20,000 data. The same numbers as crates/optimize/benches/fits.rs."""
    m, peaks = 20_000, 10
    x = np.arange(m) / m
    k = np.arange(peaks)
    truth = np.concatenate([1 + 0.1 * k, (k + 0.5) / peaks, 0.02 + 0.001 * k, [0.5, -0.2]])

    def f(b):
        z = (x[:, None] - b[10:20]) / b[20:30]
        return (b[:10] * np.exp(-(z**2))).sum(1) + b[30] + b[31] * x

    def jac(b):
        z = (x[:, None] - b[10:20]) / b[20:30]
        g = np.exp(-(z**2))
        slope = 2 * b[:10] * g * z / b[20:30]
        return np.hstack([g, slope, slope * z, np.ones((m, 1)), x[:, None]])

    y = f(truth) + 0.01 * np.sin(np.arange(m) * 12.9898)
    start = truth.copy()
    start[:10] *= 0.8
    start[20:30] *= 1.3
    return (lambda b: f(b) - y), jac, start


def nist(folder: str, ours: str | None) -> None:
    problems = []
    for name, (f, jac) in MODELS.items():
        path = pathlib.Path(folder) / f"{name}.dat"
        if path.exists():
            starts, certified, x, y = read(path)
            for i, start in enumerate(starts):
                residual = lambda b, f=f, x=x, y=y: f(x, b) - y  # noqa: E731
                problems.append((f"{name} {i + 1}", residual, lambda b, jac=jac, x=x: jac(x, b), start))
    problems.append(("ten peaks", *large()))
    mine = {}
    if ours:
        # Its last lines are one JSON object each.
        out = subprocess.run([ours, "--bench"], check=True, capture_output=True, text=True).stdout
        mine = {r["name"]: r for r in map(json.loads, filter(lambda s: s.startswith("{"), out.splitlines()))}
    print("| problem | ours: cost | SciPy lm: cost | ours: evaluations | SciPy | SciPy, our tolerances | ours: us | SciPy: us | ratio | ratio, our tolerances |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, f, jac, start in problems:
        found = {}
        for which, tolerances in TOLERANCES.items():
            run = lambda t=tolerances: least_squares(f, start, jac, method="lm", x_scale="jac", **t)  # noqa: E731
            found[which] = (run(), timed(run))
        (default, t0), (tight, t1) = found["scipy"], found["tight"]
        r = mine.get(name)
        if r is None:
            print(f"| {name} | | {default.cost:.10e} | | {default.nfev} | {tight.nfev} | | {t0 * 1e6:.0f} | | |")
            continue
        print(
            f"| {name} | {r['cost']:.10e} | {default.cost:.10e} | {r['evaluations']} | {default.nfev} | {tight.nfev} "
            f"| {r['us']:.0f} | {t0 * 1e6:.0f} | {r['us'] / t0 / 1e6:.2f} | {r['us'] / t1 / 1e6:.2f} |"
        )


def mgh() -> None:
    import jax

    jax.config.update("jax_enable_x64", True)
    from moregarbowhillstrom import problems

    totals = {}
    for method in ("lm", "trf"):
        counts = [0, 0, 0]
        for name, f, start, least in problems():
            jac = jax.jit(jax.jacfwd(f))
            value = jax.jit(f)
            for far, factor in enumerate((1.0, 10.0, 100.0)):
                x0 = np.array(start, float) * factor
                if far and not x0.any():
                    continue
                try:
                    found = least_squares(
                        lambda x: np.asarray(value(x)), x0, lambda x: np.asarray(jac(x)), method=method,
                        x_scale="jac", max_nfev=200 * (x0.size + 1), **TOLERANCES["tight"],
                    )
                    solved = 2 * found.cost <= least * (1 + 1e-4) + 1e-10
                    print(f"{method} {name}, {factor} x0:", "solved" if solved else "NOT", 2 * found.cost, found.nfev)
                except Exception as e:  # noqa: BLE001
                    solved = False
                    print(f"{method} {name}, {factor} x0: {e}")
                counts[far] += bool(solved)
        totals[method] = counts
    print(totals)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["mgh", "nist"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--ours")
    given = parser.parse_args()
    mgh() if given.what == "mgh" else nist(given.folder, given.ours)
