"""Coefficients of tensor-core's power.rs."""
from mpmath import mp, mpf
from remez import fit, shown, rounded

high = mp.sqrt(2) - 1
s = 2 * high / (2 + high) * mpf("1.0001")
twelfth = mpf(1) / 12
# log((1 + s / 2) / (1 - s / 2)) = s + s^3 (1/12 + z T(z)), z = s^2.
tail = lambda z: ((2 * mp.atanh(mp.sqrt(z) / 2) / mp.sqrt(z) - 1) / z - twelfth) / z
for n, bits in [(3, 24), (8, 53)]:
    shown(f"T, {bits}", fit(tail, mpf(10) ** -6, s**2, n, lambda z: z**2, bits))
for bits in (24, 53):
    h = rounded(twelfth, bits)
    print("1/12", bits, repr(float(h)), repr(float(rounded(twelfth - h, bits))))
