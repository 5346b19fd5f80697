"""Coefficients of tensor-core's exponential.rs."""
from mpmath import mp, mpf
from remez import fit, shown, rounded

half = mp.log(2) / 2 * mpf("1.0001")
tail = lambda r: (mp.expm1(r) - r) / r**2
for n, bits in [(6, 24), (10, 53)]:
    fixed = [0.5] if bits == 24 else []
    shown(f"(e^r - 1 - r) / r^2, {bits}", fit(tail, -half, half, n, lambda r: r**2 / mp.exp(r), bits, fixed))
for bits in (24, 53):
    h = rounded(mp.log(2), bits)
    print("ln 2", bits, repr(float(h)), repr(float(rounded(mp.log(2) - h, bits))))
    print("log2 e", bits, repr(float(rounded(1 / mp.log(2), bits))))
cube = lambda r: ((mp.expm1(r) - r) / r**2 - mpf(1) / 2) / r
for n, bits in [(5, 24), (10, 53)]:
    shown(f"(e^r - 1 - r - r^2 / 2) / r^3, {bits}", fit(cube, -half, half, n, lambda r: r**3 / mp.expm1(r), bits))
