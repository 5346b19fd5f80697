"""Writes the correctly rounded values of cases.txt anew, by MPFR: python3 tests/accuracy/table.py, with gmpy2.

To add a case, write its function, type and arguments in hexadecimal bits; the value is put behind them.
"""

import struct
from pathlib import Path

import gmpy2

CASES = Path(__file__).with_name("cases.txt")
# Precision, least exponent, largest exponent, and how bits are packed.
TYPES = {"f32": (24, -148, 128, ">I", ">f"), "f64": (53, -1073, 1024, ">Q", ">d")}


def softplus(x):
    # e^1e10 is too large even here.
    return x + gmpy2.log1p(gmpy2.exp(-x)) if x > 0 else gmpy2.log1p(gmpy2.exp(x))


FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + gmpy2.exp(-x)),
    "gelu": lambda x: -gmpy2.zero() if x == -gmpy2.inf() else x * gmpy2.erfc(-x / gmpy2.sqrt(2)) / 2,
    "softplus": softplus,
    "log_sigmoid": lambda x: -softplus(-x),
    "silu": lambda x: -gmpy2.zero() if x == -gmpy2.inf() else x / (1 + gmpy2.exp(-x)),
    "lgamma": lambda x: gmpy2.lgamma(x)[0],
    "pow": lambda a, b: a**b,
}
# Much more than any of the types has, so that rounding twice does no harm.
WORK = gmpy2.context(precision=400)


def value(line: str) -> str:
    function, kind, *bits = line.split()
    precision, least, largest, packed, number = TYPES[kind]
    arguments = bits[: 2 if function in ("pow", "atan2", "hypot") else 1]
    numbers = [struct.unpack(number, struct.pack(packed, int(x, 16)))[0] for x in arguments]
    with gmpy2.context(WORK):
        exact = FUNCTIONS.get(function, getattr(gmpy2, function, None))(*map(gmpy2.mpfr, numbers))
    with gmpy2.context(precision=precision, emin=least, emax=largest, subnormalize=True):
        rounded = float(gmpy2.mpfr(exact))
    result = struct.unpack(packed, struct.pack(number, abs(rounded) if rounded != rounded else rounded))[0]
    return " ".join([function, kind, *arguments, f"{result:0{len(bits[0])}x}"])


lines = CASES.read_text().splitlines()
CASES.write_text("".join(f"{line if line.startswith('#') else value(line)}\n" for line in lines))
