"""Minimax polynomials by the Remez exchange, in mpmath, with coefficients rounded to f32 or f64 one after another.

Each rounded coefficient is fixed before the rest is fitted again, so that the rest makes up for the rounding.
"""
import mpmath as mp
import numpy as np

mp.mp.prec = 160


def rounded(c, kind):
    if kind == "f64":
        return mp.mpf(float(c))
    # Straight from the exact value to 24 bits.
    with mp.workprec(24):
        return +mp.mpf(c)


def remez(points, values, weights, exponents, rounds=12):
    """Coefficients c of the sum of c_i x^exponents_i with the smallest largest |weight (sum - value)| over the points."""
    n = len(exponents)
    total = len(points)
    rows = [[x ** e for e in exponents] for x in points]
    # Chebyshev's extremes among the points, which lie in Chebyshev's distances themselves.
    chosen = [round(i * (total - 1) / n) for i in range(n + 1)]
    best = None
    for _ in range(rounds):
        a = mp.matrix(n + 1, n + 1)
        b = mp.matrix(n + 1, 1)
        for i, p in enumerate(chosen):
            for j in range(n):
                a[i, j] = rows[p][j] * weights[p]
            a[i, n] = (-1) ** i
            b[i] = values[p] * weights[p]
        solution = mp.lu_solve(a, b)
        c = [solution[j] for j in range(n)]
        errors = [weights[p] * (mp.fsum(r * k for r, k in zip(rows[p], c)) - values[p]) for p in range(total)]
        worst = max(abs(e) for e in errors)
        if best is None or worst < best[0]:
            best = (worst, c)
        if worst < abs(solution[n]) * mp.mpf("1.02"):
            break
        # One extreme for every run of equal signs; then the ends are dropped until n + 1 are left.
        extremes = []
        for p, e in enumerate(errors):
            if extremes and (errors[extremes[-1]] > 0) == (e > 0):
                if abs(e) > abs(errors[extremes[-1]]):
                    extremes[-1] = p
            else:
                extremes.append(p)
        while len(extremes) > n + 1:
            if len(extremes) == n + 2:
                extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
            else:
                k = min(range(len(extremes) - 1), key=lambda i: max(abs(errors[extremes[i]]), abs(errors[extremes[i + 1]])))
                del extremes[k:k + 2]
        if len(extremes) < n + 1:
            break
        chosen = extremes
    return best[1], best[0]


def fit(name, f, lo, hi, n, kind, weight=None, first=0, step=1, fixed=(), density=24, exact=4, comment="",
        rounds=12):
    """n coefficients of x^first, x^(first+step), ..; `fixed` are given leading ones. Prints a Rust array."""
    total = density * n
    lo, hi = mp.mpf(lo), mp.mpf(hi)
    points = [(lo + hi) / 2 - (hi - lo) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / total) for i in range(total)]
    values = [f(x) for x in points]
    weights = [weight(x) if weight else 1 / v for x, v in zip(points, values)]
    known = [mp.mpf(c) for c in fixed]
    ideal = None
    exponents = [first + step * i for i in range(n)]
    while len(known) < n:
        k = len(known)
        rest = [v - mp.fsum(c * x ** e for c, e in zip(known, exponents)) for x, v in zip(points, values)]
        c, worst = remez(points, rest, weights, exponents[k:], rounds)
        if ideal is None:
            ideal = worst
        if k < exact:
            known.append(rounded(c[0], kind))
        else:
            known += [rounded(v, kind) for v in c]
    worst = max(abs(w * (mp.fsum(c * x ** e for c, e in zip(known, exponents)) - v))
                for x, v, w in zip(points, values, weights))
    print(f"// {name} {kind}: {n} coefficients over [{mp.nstr(lo, 8)}, {mp.nstr(hi, 8)}]: "
          f"error 2^{mp.nstr(mp.log(worst, 2), 4)} (unrounded 2^{mp.nstr(mp.log(ideal, 2), 4)}) {comment}")
    shown = [repr(float(c)) if kind == "f64" else str(np.float32(float(c))) for c in known]
    print("[" + ", ".join(shown) + "]", flush=True)
    return known
