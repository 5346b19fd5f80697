#!/usr/bin/env python3
"""Writes elementwise.txt: functions of one and two elements and their derivatives up to the second, from their
definitions in 700 digits (mpmath). A line is a function, its arguments, and value, gradient and upper triangle of the
Hessian. Arguments that f32 can hold are rounded to it, so that one table does for both types."""

import struct
import sys

from mpmath import mp, mpf

mp.dps = 700


def f32(x):
    """x in f32 where that is a normal number and tells x from 1, so that both types are given the same argument."""
    rounded = struct.unpack("f", struct.pack("f", x))[0] if 1.2e-38 < abs(x) < 3.4e38 else x
    return x if abs(rounded) == 1 else rounded


def text(x):
    if isinstance(x, float):
        return repr(x)
    if abs(x) > mpf(sys.float_info.max):
        return "-inf" if x < 0 else "inf"
    # 5e-324 is the smallest.
    return repr(float(x)) if abs(x) > mpf(2) ** -1075 else "0.0"


def signed(xs):
    return [s * x for x in xs for s in (1, -1)]


SMALL = [5e-324, 1e-310, 1e-300, 1e-160, 1e-30, 1e-12, 1e-5, 0.03, 0.4]
MIDDLING = [0.5, 0.8, 1.5, 2.5, 5.0, 9.0]
LARGE = [1e4, 1e8, 9e16, 2e17, 1e19, 1e30, 1e38, 1e100, 1e154, 1e200, 1e307, 1.7e308]
FAR = [12.0, 20.0, 40.0, 80.0, 300.0, 700.0]
NEAR_1 = [0.9, 0.999, 0.999999, 1 - 2**-20, 1 - 2**-24, 0.9999999999, 0.999999999999999, 1 - 2**-53]
ABOVE_1 = [1.0001, 1 + 2**-20, 1 + 2**-23, 1.0000000001, 1 + 2**-52, 1.1, 1.5, 2.0, 3.0]
ONE, TWO, PI = mpf(1), mpf(2), mp.pi


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def steep(x):
    return sigmoid(x) * sigmoid(-x)


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * PI)


def share(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


ONES = signed(SMALL + [0.5, 0.8] + NEAR_1)
ALL = signed(SMALL + MIDDLING + FAR + LARGE)
ACTIVE = signed(SMALL + MIDDLING + FAR)
ROOTS = SMALL[1:] + MIDDLING + FAR + LARGE
ONE_ELEMENT = {
    "asinh": (ALL, lambda x: (mp.asinh(x), 1 / mp.sqrt(1 + x * x), -x / (1 + x * x) ** 1.5)),
    "acosh": (ABOVE_1 + FAR + LARGE, lambda x: (mp.acosh(x), 1 / mp.sqrt(x * x - 1), -x / (x * x - 1) ** 1.5)),
    "atanh": (ONES, lambda x: (mp.atanh(x), 1 / (1 - x * x), 2 * x / (1 - x * x) ** 2)),
    "asin": (ONES, lambda x: (mp.asin(x), 1 / mp.sqrt(1 - x * x), x / (1 - x * x) ** 1.5)),
    "acos": (ONES, lambda x: (mp.acos(x), -1 / mp.sqrt(1 - x * x), -x / (1 - x * x) ** 1.5)),
    "atan": (ALL, lambda x: (mp.atan(x), 1 / (1 + x * x), -2 * x / (1 + x * x) ** 2)),
    "tanh": (ACTIVE, lambda x: (mp.tanh(x), 1 / mp.cosh(x) ** 2, -2 * mp.tanh(x) / mp.cosh(x) ** 2)),
    "sigmoid": (ACTIVE, lambda x: (sigmoid(x), steep(x), -steep(x) * mp.tanh(x / 2))),
    "softplus": (ACTIVE, lambda x: (mp.log(1 + mp.exp(x)), sigmoid(x), steep(x))),
    "log_sigmoid": (ACTIVE, lambda x: (-mp.log(1 + mp.exp(-x)), sigmoid(-x), -steep(x))),
    "silu": (
        ACTIVE,
        lambda x: (x * sigmoid(x), sigmoid(x) + x * steep(x), steep(x) * (2 - x * mp.tanh(x / 2))),
    ),
    "gelu": (
        signed(SMALL + MIDDLING + [12.0, 20.0]),
        lambda x: (x * share(x), share(x) + x * density(x), (2 - x * x) * density(x)),
    ),
    "erf": (
        signed(SMALL + MIDDLING + [20.0]),
        lambda x: (mp.erf(x), 2 * mp.exp(-x * x) / mp.sqrt(PI), -4 * x * mp.exp(-x * x) / mp.sqrt(PI)),
    ),
    "erfc": (
        signed(SMALL + MIDDLING + [20.0]),
        lambda x: (mp.erfc(x), -2 * mp.exp(-x * x) / mp.sqrt(PI), 4 * x * mp.exp(-x * x) / mp.sqrt(PI)),
    ),
    "expm1": (ACTIVE, lambda x: (mp.expm1(x), mp.exp(x), mp.exp(x))),
    "elu": (ACTIVE, lambda x: (mp.expm1(x), mp.exp(x), mp.exp(x)) if x <= 0 else (x, ONE, 0 * x)),
    "sinh": (ACTIVE, lambda x: (mp.sinh(x), mp.cosh(x), mp.sinh(x))),
    "cosh": (ACTIVE, lambda x: (mp.cosh(x), mp.sinh(x), mp.cosh(x))),
    "log": (ROOTS, lambda x: (mp.log(x), 1 / x, -1 / x**2)),
    "log2": (ROOTS, lambda x: (mp.log(x, 2), 1 / x / mp.log(2), -1 / x**2 / mp.log(2))),
    "log10": (ROOTS, lambda x: (mp.log(x, 10), 1 / x / mp.log(10), -1 / x**2 / mp.log(10))),
    "log1p": (ROOTS + [-x for x in SMALL + NEAR_1], lambda x: (mp.log1p(x), 1 / (1 + x), -1 / (1 + x) ** 2)),
    "sqrt": (ROOTS, lambda x: (mp.sqrt(x), 1 / mp.sqrt(x) / 2, -1 / mp.sqrt(x) ** 3 / 4)),
    "rsqrt": (ROOTS, lambda x: (1 / mp.sqrt(x), -1 / mp.sqrt(x) ** 3 / 2, 3 / mp.sqrt(x) ** 5 / 4)),
    "reciprocal": (ROOTS, lambda x: (1 / x, -1 / x**2, 2 / x**3)),
}


def hypot(a, b):
    h = mp.sqrt(a * a + b * b)
    return h, a / h, b / h, b * b / h**3, -a * b / h**3, a * a / h**3


def atan2(a, b):
    s = a * a + b * b
    return mp.atan2(a, b), b / s, -a / s, -2 * a * b / s**2, (a * a - b * b) / s**2, 2 * a * b / s**2


def logaddexp(a, b):
    p, q = sigmoid(a - b), sigmoid(b - a)
    return mp.log(mp.exp(a) + mp.exp(b)), p, q, p * q, -p * q, p * q


def logit_loss(x, t):
    value = (1 - t) * x + mp.log(1 + mp.exp(-x))
    return value, (1 - t) * sigmoid(x) - t * sigmoid(-x), -x, steep(x), -ONE, 0 * x


def power(a, b):
    y, log = a**b, mp.log(a)
    return y, b * y / a, y * log, b * (b - 1) * y / a**2, y / a * (1 + b * log), y * log**2


SIDES = [(3.0, 4.0), (-1.0, 1e-9), (1e-10, 1.0), (0.7, -0.7), (-2.0, -1.0)]
SCALES = [1, 2**-1000, 2**-500, 2**-100, 2**-40, 2**40, 2**100, 2**500, 2**1000]
LENGTHS = [(f32(a) * s, f32(b) * s) for a, b in SIDES for s in map(float, SCALES)]
TWO_ELEMENTS = {
    "hypot": (LENGTHS + [(3e-170, 4e-170), (1.2e308, 1.1e308), (1e-320, 2e-320)], hypot),
    "atan2": (LENGTHS + [(3e-170, 4e-170), (1e308, 1e-300)], atan2),
    "logaddexp": (
        [(1.0, 1.0), (0.0, -12.0), (0.0, -40.0), (-40.0, 0.0), (20.0, 60.0), (-3.0, -2.5), (300.0, -300.0)],
        logaddexp,
    ),
    "logit_loss": (
        [(x, t) for x in [0.5, -0.5, 12.0, -12.0, 20.0, -20.0, 40.0, -40.0, 80.0, 700.0] for t in [0.0, 0.25, 1.0]],
        logit_loss,
    ),
    "pow": ([(2.0, 3.0), (0.5, -2.5), (1e-30, 0.75), (1e30, -1.25), (3.0, 0.0), (1.5, 60.0)], power),
}


def main():
    print("# Written by elementwise.py.")
    for name, (points, f) in ONE_ELEMENT.items():
        for x in sorted(set(map(f32, points))):
            print(name, text(x), *map(text, f(mpf(x))))
    for name, (points, f) in TWO_ELEMENTS.items():
        for a, b in points:
            a, b = f32(a), f32(b)
            print(name, text(a), text(b), *map(text, f(mpf(a), mpf(b))))


main()
