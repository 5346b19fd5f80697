"""Reductions, running ones, order, and losses."""

import torch
import torch.nn.functional as F

from domains import ANY, SHARE, SMALL, apart, away
from operations import define


def over(x, a):
    """The dimensions that a call names; all of them where it names none."""
    dims = a.get("dim", [])
    return dims if dims else list(range(x.dim()))


def reduction(name, function, domain=ANY, guard=None, arguments=lambda b: {}):
    def propose(b):
        n = b.pick(domain)
        return {"input": n}, {"dim": b.dims(b.of(n)), "keepdim": b.flag(), **arguments(b)}

    define(
        name,
        propose,
        lambda x, a: function(x["input"], over(x["input"], a), a),
        guard and (lambda x, a: guard(x["input"], over(x["input"], a), a)),
    )


def flat(x, dims):
    """The elements that are reduced, in the last dimension."""
    dims = sorted(d % max(x.dim(), 1) for d in dims)
    rest = [d for d in range(x.dim()) if d not in dims]
    return x.permute(rest + dims).flatten(len(rest)) if dims else x.unsqueeze(-1)


def extremes_clear(x, dims, a):
    return apart(flat(x, dims), -1)


def summed(function):
    return lambda x, dims, a: function(x, dims, a["keepdim"]) if dims else function(x)


def prod(x, dims, a):
    for d in sorted((d % x.dim() for d in dims), reverse=True):
        x = x.prod(d, keepdim=a["keepdim"])
    return x


reduction("sum", summed(torch.sum))
reduction("mean", summed(torch.mean))
reduction("amax", lambda x, dims, a: x.amax(dims, a["keepdim"]), guard=extremes_clear)
reduction("amin", lambda x, dims, a: x.amin(dims, a["keepdim"]), guard=extremes_clear)
reduction("prod", prod, SMALL)
reduction("logsumexp", lambda x, dims, a: x.logsumexp(dims, a["keepdim"]))


def spread(name):
    def guard(x, dims, a):
        x = flat(x, dims)
        return x.shape[-1] > a["correction"] and (name == "var" or bool((x.var(-1, correction=0) > 0.02).all()))

    reduction(
        name,
        lambda x, dims, a: getattr(torch, name)(x, dims, correction=a["correction"], keepdim=a["keepdim"]),
        guard=guard,
        arguments=lambda b: {"correction": b.rng.choice([0, 1, 1])},
    )


spread("var")
spread("std")


def norm_is_smooth(x, dims, a):
    x = flat(x, dims).abs()
    if a["ord"] in ("inf", "-inf"):
        return away(x, 0) and apart(x, -1)
    if a["ord"] == 2:
        return bool((x.square().sum(-1) > 0.01).all())
    return bool((x > 0.05).all())


reduction(
    "vector_norm",
    lambda x, dims, a: torch.linalg.vector_norm(x, float(a["ord"]), dims, a["keepdim"]),
    guard=norm_is_smooth,
    arguments=lambda b: {"ord": b.rng.choice([2, 2, 1, 3, 0, 2.5, 1.5, 0.5, "inf", "-inf"])},
)


def along(name, function, guard=None, domain=ANY, **choices):
    """An operation along one dimension."""

    def propose(b):
        n = b.pick(domain, lambda x: x.dim() > 0, lambda: b.shape(1))
        return {"input": n}, {"dim": b.a_dim(b.of(n)), **{k: b.rng.choice(v) for k, v in choices.items()}}

    define(
        name, propose, lambda x, a: function(x["input"], **a), guard and (lambda x, a: guard(x["input"], a["dim"]))
    )


KEEP = {"keepdim": [False, True]}
along("argmax", torch.argmax, apart, **KEEP)
along("argmin", torch.argmin, apart, **KEEP)
along("max_dim", lambda x, dim, keepdim: tuple(x.max(dim, keepdim)), apart, **KEEP)
along("min_dim", lambda x, dim, keepdim: tuple(x.min(dim, keepdim)), apart, **KEEP)
along("median_dim", lambda x, dim, keepdim: tuple(x.median(dim, keepdim)), apart, **KEEP)
along("cumsum", torch.cumsum)
along("cumprod", torch.cumprod, domain=SMALL)
along("cummax", lambda x, dim: tuple(x.cummax(dim)), apart)
along("cummin", lambda x, dim: tuple(x.cummin(dim)), apart)
along("softmax", torch.softmax)
along("log_softmax", torch.log_softmax)
along("sort", lambda x, dim, descending: tuple(x.sort(dim, descending)), apart, descending=[False, True])
along("argsort", torch.argsort, apart, descending=[False, True])
along("quantile", lambda x, dim, q: x.quantile(q, dim), apart, q=[0, 0.25, 0.3, 0.5, 0.9, 1])
define(
    "median", lambda b: ({"input": b.pick()}, {}), lambda x, a: x["input"].median(), lambda x, a: apart(x["input"])
)


def top(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    return {"input": n}, {"k": b.rng.randint(1, b.of(n).shape[dim]), "dim": dim, "largest": b.flag()}


define(
    "topk",
    top,
    lambda x, a: tuple(x["input"].topk(a["k"], a["dim"], a["largest"])),
    lambda x, a: apart(x["input"], a["dim"]),
)


def searched(b):
    n = b.pick(ANY, lambda x: x.dim() == 1 and len(x) > 1, lambda: [b.rng.randint(2, 5)])
    bounds = b.step("sort", {"input": n}, {"dim": 0, "descending": False})[0]
    return {"sorted_sequence": bounds, "input": b.pick()}, {"right": b.flag()}


define(
    "searchsorted",
    searched,
    lambda x, a: torch.searchsorted(
        x["sorted_sequence"].detach().contiguous(), x["input"].detach().contiguous(), right=a["right"]
    ),
    lambda x, a: away(x["input"].unsqueeze(-1) - x["sorted_sequence"], 0),
)


def of_mask(b):
    n = b.mask(b.pick())
    return {"input": n}, {"dim": b.dims(b.of(n), 1), "keepdim": b.flag()}


for name in ("any", "all"):
    define(
        name,
        of_mask,
        lambda x, a, f=getattr(torch, name): (
            f(x["input"], over(x["input"], a), a["keepdim"]) if x["input"].dim() else x["input"]
        ),
    )


def counted(x, dims, a):
    if not x.dim():
        return x.count_nonzero()
    count = x.count_nonzero(dims)
    return (
        count.reshape([1 if d in [k % x.dim() for k in dims] else s for d, s in enumerate(x.shape)])
        if a["keepdim"]
        else count
    )


reduction("count_nonzero", counted, guard=lambda x, dims, a: away(x, 0))


# Losses.
def targeted(b, target=ANY):
    n = b.pick()
    return {"input": n, "target": b.like(b.of(n).shape, target)}


define("mse_loss", lambda b: (targeted(b), {}), lambda x, a: F.mse_loss(x["input"], x["target"]))
define(
    "huber_loss",
    lambda b: (targeted(b), {"delta": b.rng.choice([1.0, 0.6, 1.7])}),
    lambda x, a: F.huber_loss(x["input"], x["target"], delta=a["delta"]),
    lambda x, a: away((x["input"] - x["target"]).abs(), a["delta"]),
)
define(
    "binary_cross_entropy_with_logits",
    lambda b: (targeted(b, SHARE), {}),
    lambda x, a: F.binary_cross_entropy_with_logits(x["input"], x["target"]),
)


def classified(b):
    n = b.pick(ANY, lambda x: x.dim() == 2, lambda: [b.rng.randint(1, 4), b.rng.randint(2, 4)])
    rows, classes = b.of(n).shape
    return {"input": n, "target": b.indices(classes, [rows])}, {}


define("cross_entropy", classified, lambda x, a: F.cross_entropy(x["input"], x["target"]))


def squares(b):
    n = b.pick(ANY, lambda x: x.dim() == 2, lambda: [b.rng.randint(1, 4), b.rng.randint(1, 4)])
    rows, columns = b.of(n).shape
    return {"mat": n, "input": b.like([columns]), "target": b.like([rows])}, {}


define("least_squares_loss", squares, lambda x, a: (x["target"] - x["mat"] @ x["input"]).square().sum())
