"""Coefficients of tensor-core's logarithm.rs."""
from mpmath import mp, mpf
from remez import fit, shown, rounded

low, high = mp.sqrt(mpf(1) / 2) - 1, mp.sqrt(2) - 1
cubic = lambda f: (mp.log1p(f) - f + f**2 / 2) / f**3
for n, bits in [(9, 24), (20, 53)]:
    shown(
        f"(log(1 + f) - f + f^2 / 2) / f^3, {bits}",
        fit(cubic, low * mpf("1.0001"), high * mpf("1.0001"), n, lambda f: f**3 / mp.log1p(f), bits),
    )
s = high / (2 + high) * mpf("1.0001")
atanh = lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z
for n, bits in [(4, 24), (7, 53)]:
    shown(f"(2 atanh(s) / s - 2) / s^2, {bits}", fit(atanh, mpf(10) ** -8, s**2, n, lambda z: z / 2, bits))
for bits, short in ((24, 15), (53, 41)):
    for name, c in (("ln 2", mp.log(2)), ("log10 2", mp.log10(2))):
        h = rounded(c, short)
        print(name, bits, repr(float(h)), repr(float(rounded(c - h, bits))))
    for name, c in (("log2 e", 1 / mp.log(2)), ("log10 e", 1 / mp.log(10))):
        h = rounded(c, bits)
        print(name, bits, repr(float(h)), repr(float(rounded(c - h, bits))))
