"""Coefficients of error.rs."""
import sys
import mpmath as mp
from remez_in_turn import fit, rounded

which = sys.argv[1:]


def small(z):
    # erf(x) / x - 1.
    if z < 1e-6:
        return 2 / mp.sqrt(mp.pi) * mp.fsum((-1) ** k * z ** k / (mp.factorial(k) * (2 * k + 1)) for k in range(12)) - 1
    x = mp.sqrt(z)
    return mp.erf(x) / x - 1


def g(x):
    return -mp.log(mp.erfc(x))


def scaled(x):
    return mp.erfc(x) * mp.exp(x * x) * (1 + 2 * x)


def centre(kind):
    """The multiple of 1/256 above 1 where g is nearest to a number of the type: the constant term then costs nothing."""
    return min((1 + mp.mpf(i) / 256 for i in range(128)), key=lambda c: abs(g(c) - rounded(g(c), kind)))


for kind, a, hi, b in (("f64", 13, 6, 18), ("f32", 7, 4, 7)):
    if not which or "erf" in which:
        fit("erf(x) / x - 1 in x^2", small, 0, mp.mpf("1.0001"), a, kind, weight=lambda z: 1 / (1 + small(z)))
        c = centre(kind)
        for n in (b, b + 1):
            fit(f"-ln erfc(x) in x - {mp.nstr(c, 12)}", lambda t: g(t + c), 1 - c, hi - c, n, kind,
                weight=lambda t: mp.erfc(t + c) / mp.erf(t + c), exact=2)
    if not which or "erfc" in which:
        fit("erf(x) / x - 1 in x^2", small, 0, mp.mpf("0.5626"), 11 if kind == "f64" else 6, kind, weight=lambda z: 2)
        # The constant is m(0) in two parts, so that it is as good as exact; the others share the smallest error.
        top, k, n = (28, mp.mpf("3.25"), 20) if kind == "f64" else (11, mp.mpf(2), 9)
        lo = mp.mpf("0.75")
        p = lambda t: scaled(k * (1 + t) / (1 - t))
        high = rounded(p(mp.mpf(0)), kind)
        low = rounded(p(mp.mpf(0)) - high, kind)
        print("constant", kind, float(high), float(low))
        m = lambda x: (x - k) / (x + k)
        fit(f"((1 + 2 x) e^(x^2) erfc(x) - constant) / t in t = (x - {k}) / (x + {k})", lambda t: (p(t) - high - low) / t,
            m(lo), m(mp.mpf(top)), n, kind, exact=1, weight=lambda t: t / p(t))
