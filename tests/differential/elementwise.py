"""Functions of elements, comparisons and choices by masks."""

import math

import torch
import torch.nn.functional as F

from domains import ABOVE_MINUS_ONE, ABOVE_ONE, ANY, NONZERO, POSITIVE, SMALL, UNIT, away, fractional
from operations import define


def unary(name, function, domain=ANY, guard=None):
    define(
        name,
        lambda b: ({"input": b.pick(domain)}, {}),
        lambda x, a: function(x["input"]),
        lambda x, a: domain.holds(x["input"]) and (guard is None or guard(x["input"])),
    )


def at_zero(x):
    return away(x, 0)


for name, domain in {
    "neg": ANY, "exp": SMALL, "expm1": SMALL, "exp2": SMALL, "log": POSITIVE, "log2": POSITIVE, "log10": POSITIVE,
    "log1p": ABOVE_MINUS_ONE, "sqrt": POSITIVE, "rsqrt": POSITIVE, "square": ANY, "reciprocal": NONZERO, "sin": ANY,
    "cos": ANY, "asin": UNIT, "acos": UNIT, "atan": ANY, "sinh": SMALL, "cosh": SMALL, "tanh": ANY, "asinh": ANY,
    "acosh": ABOVE_ONE, "atanh": UNIT, "sigmoid": ANY, "erf": ANY, "erfc": SMALL,
}.items():  # fmt: skip
    unary(name, getattr(torch, name), domain)
unary("abs", torch.abs, ANY, at_zero)
unary("sign", torch.sign, ANY, at_zero)
unary("tan", torch.tan, ANY, lambda x: bool(x.cos().abs().gt(0.2).all()))
unary("relu", torch.relu, ANY, at_zero)
# F.softplus is linear from 20 on.
unary("softplus", lambda x: torch.logaddexp(x, torch.zeros_like(x)))
unary("log_sigmoid", F.logsigmoid)
unary("silu", F.silu)
unary("gelu", F.gelu)


class Polygamma(torch.autograd.Function):
    """The derivative of order n of the digamma function. PyTorch's own of order 1, the slope of digamma, has no more
    than nine digits; Hurwitz' zeta function has all."""

    @staticmethod
    def forward(ctx, n, x):
        ctx.n = n
        ctx.save_for_backward(x)
        if n == 0:
            return torch.digamma(x)
        mirrored = torch.where(x > 0, x, 1 - x)
        y = (-1) ** (n + 1) * math.factorial(n) * torch.special.zeta(torch.full_like(x, n + 1), mirrored)
        # (-1)^n psi_n(1 - x) - psi_n(x) = pi d^n/dx^n cot(pi x)
        sine, cosine = (math.pi * x).sin(), (math.pi * x).cos()
        slope = {1: -math.pi / sine**2, 2: 2 * math.pi**2 * cosine / sine**3}.get(n, torch.full_like(x, math.nan))
        return torch.where(x > 0, y, (-1) ** n * y - math.pi * slope)

    @staticmethod
    def backward(ctx, g):
        return None, g * Polygamma.apply(ctx.n + 1, *ctx.saved_tensors)


class Lgamma(torch.autograd.Function):
    """With these for its derivatives."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.lgamma(x)

    @staticmethod
    def backward(ctx, g):
        return g * Polygamma.apply(0, *ctx.saved_tensors)


for name, function in (("lgamma", Lgamma.apply), ("digamma", lambda x: Polygamma.apply(0, x))):
    unary(name, function, ANY, lambda x: bool(((x > 0.1) | ((x - x.round()).abs() > 0.15)).all() and (x > -6).all()))
for name in ("floor", "ceil", "trunc"):
    unary(name, getattr(torch, name), ANY, fractional)
unary("round", torch.round, ANY, lambda x: fractional(x - 0.5))
unary("isnan", torch.isnan)
unary("isinf", torch.isinf)
unary("isfinite", torch.isfinite)
unary("cast", lambda x: x.to(torch.float64).to(x.dtype))


def with_argument(name, key, values, function, domain=ANY, guard=None):
    define(
        name,
        lambda b: ({"input": b.pick(domain)}, {key: b.rng.choice(values)}),
        lambda x, a: function(x["input"], a[key]),
        lambda x, a: domain.holds(x["input"]) and (guard is None or guard(x["input"], a[key])),
    )


def power_is_smooth(x, p):
    if p in (0, 1, 2, 3, 4):
        return bool((x.abs() < 6).all())
    return NONZERO.holds(x) if p == int(p) else POSITIVE.holds(x)


def raised(b):
    p = b.rng.choice([0, 1, 2, 3, 4, -2, -1, 0.5, 1.5, -0.7, 2.3])
    return {"input": b.pick(SMALL if p in (0, 1, 2, 3, 4) else POSITIVE)}, {"exponent": p}


define(
    "pow_scalar",
    raised,
    lambda x, a: x["input"] ** a["exponent"],
    lambda x, a: power_is_smooth(x["input"], a["exponent"]),
)
with_argument(
    "leaky_relu", "negative_slope", [0.01, 0.2, 1.5], lambda x, s: F.leaky_relu(x, s), ANY, lambda x, s: away(x, 0)
)
with_argument("elu", "alpha", [1.0, 0.5, 2.0], lambda x, s: F.elu(x, s), ANY, lambda x, s: away(x, 0))
with_argument("polygamma", "n", [0, 1, 2, 3], lambda x, n: Polygamma.apply(n, x), POSITIVE)
with_argument(
    "multigammaln",
    "p",
    [1, 2, 3],
    lambda x, p: p * (p - 1) / 4 * math.log(math.pi) + sum(Lgamma.apply(x - j / 2) for j in range(p)),
    POSITIVE,
    lambda x, p: bool((x > (p - 1) / 2 + 0.1).all()),
)
with_argument("full_like", "value", [0.0, 1.5], torch.full_like)
SCALARS = [-1.5, 0.5, 2.0, 0.3]
with_argument("add_scalar", "scalar", SCALARS, lambda x, c: x + c)
with_argument("sub_scalar", "scalar", SCALARS, lambda x, c: x - c)
with_argument("mul_scalar", "scalar", SCALARS, lambda x, c: x * c)
with_argument("div_scalar", "scalar", SCALARS, lambda x, c: x / c)
with_argument("rsub_scalar", "scalar", SCALARS, lambda x, c: c - x)
with_argument("rdiv_scalar", "scalar", SCALARS, lambda x, c: c / x, NONZERO)


def clamp_bounds(b):
    low = b.rng.choice([None, -1.1, -0.4, 0.0])
    high = b.rng.choice([0.7, 1.9] + ([None] if low is not None else []))
    return {k: v for k, v in (("min", low), ("max", high)) if v is not None}


define(
    "clamp",
    lambda b: ({"input": b.pick()}, clamp_bounds(b)),
    lambda x, a: x["input"].clamp(a.get("min"), a.get("max")),
    lambda x, a: away(x["input"], *a.values()),
)


def binary(name, function, left=ANY, right=ANY, guard=None):
    def propose(b):
        n = b.pick(left)
        m = b.partner(n, right)
        # Either may be the one that is broadcast.
        if left is right and b.flag():
            n, m = m, n
        return {"input": n, "other": m}, {}

    define(
        name,
        propose,
        lambda x, a: function(x["input"], x["other"]),
        lambda x, a: (
            left.holds(x["input"]) and right.holds(x["other"]) and (guard is None or guard(x["input"], x["other"]))
        ),
    )


def two_that_broadcast(b):
    n = b.pick()
    return {"input": n, "other": b.partner(n)}


def differ(a, b):
    return away(a - b, 0)


def quotient_is_clear(a, b):
    return fractional(a / b)


binary("add", torch.add)
binary("sub", torch.sub)
binary("mul", torch.mul)
binary("div", torch.div, ANY, NONZERO)
binary("pow", torch.pow, POSITIVE, SMALL, lambda a, b: bool((a < 6).all()))
binary("maximum", torch.maximum, guard=differ)
binary("minimum", torch.minimum, guard=differ)
binary(
    "atan2", torch.atan2, guard=lambda a, b: bool((((b > 0.1) | (a.abs() > 0.05)) & (a.abs() + b.abs() > 0.1)).all())
)
binary("hypot", torch.hypot, guard=lambda a, b: bool((a.abs() + b.abs() > 0.1).all()))
binary("xlogy", torch.xlogy, ANY, POSITIVE)
binary("logaddexp", torch.logaddexp)
binary("remainder", torch.remainder, ANY, NONZERO, quotient_is_clear)
binary("fmod", torch.fmod, ANY, NONZERO, quotient_is_clear)
# PyTorch has no slope for it; it is 0.
binary("floor_divide", lambda a, b: torch.floor_divide(a.detach(), b.detach()), ANY, NONZERO, quotient_is_clear)
for name in ("eq", "ne", "lt", "le", "gt", "ge"):
    binary(name, getattr(torch, name), guard=differ)
define(
    "isclose",
    lambda b: (two_that_broadcast(b), {"rtol": 0.1, "atol": 0.5}),
    lambda x, a: torch.isclose(x["input"].detach(), x["other"].detach(), a["rtol"], a["atol"]),
    lambda x, a: away((x["input"] - x["other"]).abs() - a["atol"] - a["rtol"] * x["other"].abs(), 0),
)


def assignment(name, function, right=ANY):
    def propose(b):
        n = b.pick()
        shape = list(b.of(n).shape)
        narrower = lambda x: list(torch.broadcast_shapes(x.shape, shape)) == shape
        fits = lambda x: (
            x.dim() <= len(shape)
            and all(d in (1, s) for d, s in zip(reversed(x.shape), reversed(shape)))
            and narrower(x)
        )
        return {"input": n, "other": b.pick(right, fits, lambda: shape[b.rng.randint(0, len(shape)) :])}, {}

    define(name, propose, lambda x, a: function(x["input"], x["other"]), lambda x, a: right.holds(x["other"]))


assignment("add_assign", torch.add)
assignment("sub_assign", torch.sub)
assignment("mul_assign", torch.mul)
assignment("div_assign", torch.div, NONZERO)


def masked(b):
    n = b.pick()
    return {"input": n, "mask": b.mask(n)}


def chosen(b):
    n = b.pick()
    return {"condition": b.mask(n), "input": n, "other": b.partner(n)}, {}


def two_masks(b):
    n = b.pick()
    return {"input": b.mask(n), "other": b.mask(n)}, {}


define(
    "masked_fill",
    lambda b: (masked(b), {"value": b.rng.choice([0.0, -1.5])}),
    lambda x, a: x["input"].masked_fill(x["mask"], a["value"]),
)
define("masked_select", lambda b: (masked(b), {}), lambda x, a: x["input"].masked_select(x["mask"]))
define(
    "where",
    chosen,
    lambda x, a: torch.where(x["condition"], x["input"], x["other"]),
)
define("logical_not", lambda b: ({"input": b.mask(b.pick())}, {}), lambda x, a: x["input"].logical_not())
for name in ("logical_and", "logical_or", "logical_xor"):
    define(name, two_masks, lambda x, a, f=getattr(torch, name): f(x["input"], x["other"]))


def discrete(b):
    there = [n for n in b.candidates(torch.bool) + b.candidates(torch.int64) if n not in {k for k, _ in b.inputs}]
    return ({"input": b.preferred(there)} if there else {"input": b.mask(b.pick())}), {}


# Truth and places become numbers, so that they count in the loss.
define("to_float", discrete, lambda x, a: x["input"].to(torch.get_default_dtype()))
