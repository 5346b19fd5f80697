"""Coefficients of activation.rs."""
import mpmath as mp
from remez_in_turn import fit, rounded


def scaled(a):
    """What the normal distribution has above a, times e^(a^2 / 2)."""
    return mp.erfc(a / mp.sqrt(2)) * mp.exp(a * a / 2) / 2


def tail(z):
    # (log((1 + v / 2) / (1 - v / 2)) / v - 1) / z, z = v^2.
    v = mp.sqrt(z)
    return (2 * mp.atanh(v / 2) / v - 1) / z


for kind, n in (("f64", 10), ("f32", 5)):
    high = mp.mpf(4) / 9 * mp.mpf("1.00001")
    fit("softplus", tail, mp.mpf(10) ** -12, high, n, kind, weight=lambda z: z / (1 + z * tail(z)))

# The rise has few bits. With it alone, (a + c) scaled(a) is nearly right at a = 0, where half of x goes off in gelu.
for kind, most, c, shift, rise, n in (("f64", 39, 2.75, 0, -0.46875, 25), ("f32", 14.6, 1.25, 0.25, -0.0625, 13)):
    most, c, shift, rise = map(mp.mpf, (most, c, shift, rise))
    argument = lambda t: 2 * c / (1 - shift - t) - c
    p = lambda t: (argument(t) + c) * scaled(argument(t))
    start = rounded(p(mp.mpf(0)), kind)
    low = rounded(p(mp.mpf(0)) - start, kind)
    print("start", kind, float(start), float(low))
    fit("the rest", lambda t: (p(t) - start - low) / t - rise, -1 - shift, 1 - shift - 2 * c / (most + c), n, kind,
        exact=5, weight=lambda t: t / p(t), rounds=60)
