"""Coefficients of trigonometric.rs."""
import sys
import mpmath as mp
from remez_in_turn import fit, rounded


def pieces(value, widths):
    """Parts of the value, truncated to so many bits each (all of the same sign)."""
    out = []
    for w in widths:
        shift = w - 1 - int(mp.floor(mp.log(value, 2)))
        part = mp.floor(mp.ldexp(value, shift)) * mp.ldexp(mp.mpf(1), -shift)
        out.append(part)
        value -= part
    return out


def sine(z):
    # (sin r - r) / r^3 by its series: no cancellation.
    return mp.fsum((-1) ** (k + 1) * z ** k / mp.factorial(2 * k + 3) for k in range(24))


def cosine(z):
    # (cos r - 1 + r^2 / 2) / r^4.
    return mp.fsum((-1) ** k * z ** k / mp.factorial(2 * k + 4) for k in range(24))


def arctangent(z):
    # (atan t - t) / t^3.
    if z < 1e-3:
        return mp.fsum((-1) ** (k + 1) * z ** k / (2 * k + 3) for k in range(30))
    t = mp.sqrt(z)
    return (mp.atan(t) - t) / (t * z)


def arcsine(z):
    # (asin t - t) / t^3.
    if z < 1e-3:
        return mp.fsum(mp.binomial(2 * k, k) / (mp.mpf(4) ** k * (2 * k + 1)) * z ** (k - 1) for k in range(1, 30))
    t = mp.sqrt(z)
    return (mp.asin(t) - t) / (t * z)


which = sys.argv[1:]
if not which or "pieces" in which:
    for kind, widths in (("f64", (53, 31, 53)), ("f32", (24, 14, 24))):
        p = pieces(mp.pi / 2, widths)
        print("// pi / 2 in parts", kind, [repr(float(x)) for x in p], "left", mp.nstr(mp.pi / 2 - sum(p), 5))
quarter = (mp.pi / 4) ** 2 * mp.mpf("1.0001")
# Errors are relative to the whole function, sin r / r or so.
for kind, a, b, c, d in (("f64", 6, 6, 11, 12), ("f32", 4, 3, 5, 5)):
    if not which or "sine" in which:
        fit("sine", sine, 0, quarter, a, kind, weight=lambda z: z / (1 + z * sine(z)))
    if not which or "cosine" in which:
        fit("cosine", cosine, 0, quarter, b, kind, weight=lambda z: z * z / mp.cos(mp.sqrt(z)))
    if not which or "arctangent" in which:
        fit("arctangent", arctangent, 0, (mp.sqrt(2) - 1) ** 2 * mp.mpf("1.0001"), c, kind,
            weight=lambda z: z / (1 + z * arctangent(z)))
    if not which or "arcsine" in which:
        fit("arcsine", arcsine, 0, mp.mpf("0.25"), d, kind, weight=lambda z: z / (1 + z * arcsine(z)))
