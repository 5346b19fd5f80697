"""Coefficients of gamma.rs."""
import sys
import mpmath as mp
from remez_in_turn import fit, rounded

LEAST = mp.mpf("4.5")  # where Stirling's series is taken, and its derivative


def between(u):
    # lgamma(y) / ((y - 1) (y - 2)) of u = y - 7/4; the quotient has no poles there, but its computation.
    y = mp.mpf("1.75") + u
    with mp.workprec(400):
        if y == 1 or y == 2:
            y += mp.mpf("1e-60")
        return mp.loggamma(y) / ((y - 1) * (y - 2))


def stirling(w):
    # (lgamma(x) - (x - 1/2) (ln x - 1) + 1/2 - ln(2 pi) / 2) x of w = 1 / x^2.
    if w < mp.mpf("1e-5"):
        return mp.fsum(mp.bernoulli(2 * k) / (2 * k * (2 * k - 1)) * w ** (k - 1) for k in range(1, 12))
    x = 1 / mp.sqrt(w)
    with mp.workprec(300):
        return (mp.loggamma(x) - (x - 0.5) * (mp.log(x) - 1) + mp.mpf(1) / 2 - mp.log(2 * mp.pi) / 2) * x


def digamma_stirling(w):
    # (ln x - 1 / (2 x) - digamma(x)) x^2 of w = 1 / x^2.
    if w < mp.mpf("1e-5"):
        return mp.fsum(mp.bernoulli(2 * k) / (2 * k) * w ** (k - 1) for k in range(1, 12))
    x = 1 / mp.sqrt(w)
    with mp.workprec(300):
        return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) / w


ZERO = mp.findroot(mp.digamma, mp.mpf("1.4616321449683623"))


def near_zero(t):
    # digamma(ZERO + t) / t.
    if abs(t) < mp.mpf("1e-6"):
        return mp.fsum(mp.psi(k, ZERO) * t ** (k - 1) / mp.factorial(k) for k in range(1, 12))
    return mp.digamma(ZERO + t) / t


which = sys.argv[1:]
if not which:
    for kind in ("f64", "f32"):
        high = rounded(ZERO, kind)
        print("zero", kind, float(high), float(ZERO - high))
        c = mp.log(2 * mp.pi) / 2 - mp.mpf(1) / 2
        print("constant", float(c))
for kind, a, b, c, d in (("f64", 24, 7, 26, 8), ("f32", 11, 2, 12, 2)):
    if not which or "lgamma" in which:
        # Constants in two parts, so that they are as good as exact; the polynomial is what is left, over the argument.
        high = rounded(between(mp.mpf(0)), kind)
        low = rounded(between(mp.mpf(0)) - high, kind)
        print("middle", kind, float(high), float(low))
        fit("(lgamma(y) / ((y - 1) (y - 2)) - middle) / u, u = y - 7/4", lambda u: (between(u) - high - low) / u, -0.75, 0.75,
            a, kind, weight=lambda u: u / between(u))
        fit("Stirling's rest", stirling, mp.mpf("1e-40"), 1 / LEAST ** 2, b, kind,
            weight=lambda w: mp.sqrt(w) / mp.loggamma(1 / mp.sqrt(w)))
    if not which or "digamma" in which:
        high = rounded(near_zero(mp.mpf(0)), kind)
        low = rounded(near_zero(mp.mpf(0)) - high, kind)
        print("slope", kind, float(high), float(low))
        fit("(digamma(zero + t) / t - slope) / t", lambda t: (near_zero(t) - high - low) / t, 1 - ZERO,
            mp.mpf(5) / 2 - ZERO, c, kind, weight=lambda t: t / near_zero(t))
        fit("digamma's rest", digamma_stirling, mp.mpf("1e-40"), 1 / LEAST ** 2, d, kind,
            weight=lambda w: w / mp.digamma(1 / mp.sqrt(w)))
