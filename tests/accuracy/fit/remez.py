"""Minimax polynomials by Remez's exchange (Muller, Elementary Functions, chapter 3), in mpmath.

fit(f, low, high, n, weight, bits) gives n coefficients rounded to `bits` bits, lowest power first, of which the
first may be given.
"""
from mpmath import mp, mpf

mp.dps = 50


def rounded(x, bits):
    """x with `bits` significant bits."""
    if x == 0:
        return mpf(0)
    m, e = mp.frexp(x)
    return mp.ldexp(mp.nint(mp.ldexp(m, bits)), e - bits)


def remez(f, w, n, power, grid):
    """n coefficients c of sum c[j] x^(power + j), least max |w (f - sum)|, over the grid."""
    xs = grid
    fs = [f(x) for x in xs]
    ws = [w(x) for x in xs]
    count = len(xs)
    pick = [round((1 - mp.cos(mp.pi * (i + mpf(1) / 2) / (n + 1))) / 2 * (count - 1)) for i in range(n + 1)]
    for _ in range(30):
        a = mp.matrix(n + 1, n + 1)
        b = mp.matrix(n + 1, 1)
        for i, p in enumerate(pick):
            v = ws[p] * xs[p] ** power
            for j in range(n):
                a[i, j] = v
                v *= xs[p]
            a[i, n] = (-1) ** i
            b[i] = ws[p] * fs[p]
        c = mp.lu_solve(a, b)
        falling = [c[j] for j in reversed(range(n))]
        err = [ws[p] * (fs[p] - xs[p] ** power * mp.polyval(falling, xs[p])) for p in range(count)]
        # One extreme per run of equal sign.
        runs, start = [], 0
        for i in range(1, count + 1):
            if i == count or (err[i] > 0) != (err[start] > 0):
                runs.append(max(range(start, i), key=lambda k: abs(err[k])))
                start = i
        while len(runs) > n + 1:
            runs.pop(0 if abs(err[runs[0]]) < abs(err[runs[-1]]) else -1)
        worst = max(abs(e) for e in err)
        if len(runs) < n + 1:
            break
        pick = runs
        if worst <= abs(c[n]) * mpf("1.001"):
            break
    return [c[j] for j in range(n)], worst


def fit(f, low, high, n, weight, bits, fixed=(), size=None):
    """The coefficients, rounded, and log2 of the error that is left; the first ones may be given."""
    low, high = mpf(low), mpf(high)
    size = size or 30 * n
    grid = [low + (high - low) * (1 - mp.cos(mp.pi * (i + mpf(1) / 2) / size)) / 2 for i in range(size)]
    done = [rounded(mpf(c), bits) for c in fixed]
    rest = lambda x: f(x) - mp.polyval(list(reversed(done)), x) if done else f(x)
    c, free = remez(rest, weight, n - len(done), len(done), grid)
    done += [rounded(v, bits) for v in c]
    err = max(abs(weight(x) * (f(x) - mp.polyval(list(reversed(done)), x))) for x in grid)
    return done, mp.log(err, 2), mp.log(free, 2) if free else None


def shown(name, got, width=118):
    """The coefficients as Rust writes them, with the error before and after rounding."""
    c, err, free = got
    bits = 24 if all(rounded(v, 24) == v for v in c) else 53
    text = []
    for v in c:
        if bits == 24:
            import numpy
            text.append(repr(float(str(numpy.float32(float(v))))))
        else:
            text.append(repr(float(v)))
    print(f"{name}: 2^{mp.nstr(err, 4)} (2^{mp.nstr(free, 4) if free else '?'} before rounding), {len(c)}")
    line = "       "
    for t in text:
        if len(line) + len(t) + 2 > width:
            print(line)
            line = "       "
        line += " " + t + ","
    print(line, flush=True)
