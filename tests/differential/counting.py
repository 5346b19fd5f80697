"""Elements counted, found, and put together in windows; tables and integrals."""

import torch
import torch.nn.functional as F

from domains import ANY, SHARE, SMALL, UNIT, apart, away
from operations import define
from reductions import along, flat, reduction
from shapes import gathered, joined, ordered, shaped, some

# Functions of elements.
for name, domain in {"erfinv": UNIT, "logit": SHARE, "sinc": SMALL}.items():
    define(
        name,
        lambda b, d=domain: ({"input": b.pick(d)}, {}),
        lambda x, a, f=getattr(torch, name): f(x["input"]),
        # PyTorch's derivatives of sinc have no digits near 0.
        lambda x, a, d=domain, n=name: d.holds(x["input"]) and (n != "sinc" or bool((x["input"].abs() > 0.1).all())),
    )
define("nan_to_num", lambda b: ({"input": b.pick()}, {"nan": 0.5}), lambda x, a: torch.nan_to_num(x["input"], 0.5))


def three_that_broadcast(b):
    n = b.pick()
    return {"input": n, "end": b.partner(n), "weight": b.partner(n, SMALL)}, {}


define(
    "lerp",
    three_that_broadcast,
    lambda x, a: x["input"] + x["weight"] * (x["end"] - x["input"]),
    lambda x, a: away(x["weight"], 0.5),
)

# Reductions.
reduction("nansum", lambda x, dims, a: x.nansum(dims, a["keepdim"]) if dims else x.nansum())
reduction("nanmean", lambda x, dims, a: x.nanmean(dims, a["keepdim"]) if dims else x.nanmean())
# PyTorch's slopes of negative cotangents lose digits.
along("logcumsumexp", lambda x, dim: x.exp().cumsum(dim).log(), domain=SMALL)
along(
    "normalize",
    lambda x, dim, p: F.normalize(x, p, dim),
    lambda x, dim: bool((flat(x, [dim]).abs().amax(-1) > 0.3).all()) and away(x, 0),
    p=[2.0, 3.0, 1.5],
)


def in_order(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    return {"input": n}, {"k": b.rng.randint(1, b.of(n).shape[dim]), "dim": dim, "keepdim": b.flag()}


define(
    "kthvalue",
    in_order,
    lambda x, a: tuple(x["input"].kthvalue(a["k"], a["dim"], a["keepdim"])),
    lambda x, a: apart(x["input"], a["dim"]),
)


def points(b):
    n = b.pick(ANY, lambda x: x.dim() in (2, 3), lambda: b.shape(2, 2))
    return {"input": n, "other": b.like([b.dim(), b.of(n).shape[-1]])}, {"p": b.rng.choice([2.0, 2.0, 1.0, 3.0])}


def distances(x, y, p):
    apart = (x.unsqueeze(-2) - y.unsqueeze(-3)).abs()
    return apart.pow(p).sum(-1).pow(1 / p) if p != 1 else apart.sum(-1)


define(
    "cdist",
    points,
    lambda x, a: distances(x["input"], x["other"], a["p"]),
    lambda x, a: away(x["input"].unsqueeze(-2) - x["other"].unsqueeze(-3), 0),
)

# Differences, integrals and tables.
shaped("diff", lambda b, x: {"n": b.rng.randint(0, 2), "dim": b.a_dim(x)}, torch.diff, 1)


def with_places(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    if b.flag():
        return {"input": n}, {"dim": dim, "dx": 0.3}
    return {"input": n, "x": b.like([b.of(n).shape[dim]])}, {"dim": dim}


for name in ("trapezoid", "cumulative_trapezoid"):
    define(
        name,
        with_places,
        lambda x, a, f=getattr(torch, name): (
            f(x["input"], x["x"], dim=a["dim"]) if "x" in x else f(x["input"], dx=a["dx"], dim=a["dim"])
        ),
    )


def table(b):
    n = b.pick(ANY, lambda x: x.dim() == 1 and len(x) > 1, lambda: [b.rng.randint(2, 5)])
    places = b.step("sort", {"input": n}, {"dim": 0, "descending": False})[0]
    return {"xp": places, "fp": b.like(b.of(places).shape), "input": b.pick()}, {}


def interpolated(x, xp, fp):
    k = (torch.searchsorted(xp.detach().contiguous(), x.detach().contiguous(), right=True) - 1).clamp(0, len(xp) - 2)
    inside = fp[k] + (fp[k + 1] - fp[k]) * (x - xp[k]) / (xp[k + 1] - xp[k])
    return torch.where(x < xp[0], fp[0], torch.where(x >= xp[-1], fp[-1], inside))


define(
    "interp",
    table,
    lambda x, a: interpolated(x["input"], x["xp"], x["fp"]),
    lambda x, a: away(x["input"].unsqueeze(-1) - x["xp"], 0) and bool((x["xp"].diff() > 0.2).all()),
)


def variables(b):
    return {"input": b.pick(ANY, lambda x: x.dim() == 2 and x.shape[1] > 1, lambda: [b.dim(), b.rng.randint(2, 4)])}


define("cov", lambda b: (variables(b), {"correction": b.rng.randint(0, 1)}), lambda x, a: torch.cov(x["input"], **a))
define(
    "corrcoef",
    lambda b: (variables(b), {}),
    lambda x, a: torch.corrcoef(x["input"]),
    lambda x, a: (
        x["input"].shape[0] > 1
        and bool((x["input"].var(-1) > 0.05).all())
        # At a correlation of 1 the value is cut off.
        and bool((torch.corrcoef(x["input"]) - torch.eye(len(x["input"])) < 0.999).all())
        and bool((torch.corrcoef(x["input"]) > -0.999).all())
    ),
)


def convolution(b):
    n = b.pick(ANY, lambda x: x.dim() == 3, lambda: [b.rng.randint(1, 2), b.rng.choice([1, 2, 4]), b.rng.randint(2, 5)])
    _, channels, length = b.of(n).shape
    groups = b.rng.choice([g for g in (1, 1, 2) if channels % g == 0])
    size = b.rng.randint(1, min(3, length))
    operands = {"input": n, "weight": b.like([groups * b.rng.randint(1, 2), channels // groups, size])}
    if b.flag():
        operands["bias"] = b.like([b.of(operands["weight"]).shape[0]])
    numbers = {"stride": b.rng.randint(1, 2), "padding": b.rng.randint(0, 2), "dilation": b.rng.randint(1, 2)}
    return operands, {**numbers, "groups": groups}


define("conv1d", convolution, lambda x, a: F.conv1d(x["input"], x["weight"], x.get("bias"), **a))


# Counting: what has no slope.
def numbers(b):
    return {"input": b.indices(4, [b.rng.randint(1, 5)])}


def weighed(b):
    n = b.pick(ANY, lambda x: x.dim() == 1, lambda: [b.rng.randint(1, 5)])
    return {"input": b.indices(4, list(b.of(n).shape)), "weights": n}, {"minlength": b.rng.choice([0, 5])}


def sums(index, weights, least):
    return torch.zeros(max(int(index.max()) + 1, least), dtype=weights.dtype).index_add(0, index, weights)


define("bincount", lambda b: (numbers(b), {"minlength": 2}), lambda x, a: torch.bincount(x["input"], minlength=2))
define("bincount_weighted", weighed, lambda x, a: sums(x["input"], x["weights"], a["minlength"]))
define("one_hot", lambda b: (numbers(b), {"num_classes": 4}), lambda x, a: F.one_hot(x["input"], a["num_classes"]))


def edges_clear(x, a):
    x, (low, high) = x["input"], a["range"]
    return away(x.unsqueeze(-1) - torch.linspace(low, high, a["bins"] + 1), 0)


def histogram(x, a):
    counts = torch.histogram(x["input"].detach(), a["bins"], range=tuple(a["range"]), density=a["density"])
    return counts.hist, counts.bin_edges


define(
    "histogram",
    lambda b: ({"input": b.pick()}, {"bins": 3, "range": [-1.0, 1.5], "density": False}),
    histogram,
    edges_clear,
)
define(
    "histc",
    lambda b: ({"input": b.pick()}, {"bins": 3, "min": -1.0, "max": 1.5}),
    lambda x, a: torch.histc(x["input"].detach(), 3, -1.0, 1.5),
    lambda x, a: edges_clear(x, {"range": (-1.0, 1.5), "bins": 3}),
)


def bounded(b):
    n = b.pick(ANY, lambda x: x.dim() == 1 and len(x) > 1, lambda: [b.rng.randint(2, 5)])
    bounds = b.step("sort", {"input": n}, {"dim": 0, "descending": False})[0]
    return {"boundaries": bounds, "input": b.pick()}, {"right": b.flag()}


define(
    "bucketize",
    bounded,
    lambda x, a: torch.bucketize(
        x["input"].detach().contiguous(), x["boundaries"].detach().contiguous(), right=a["right"]
    ),
    lambda x, a: away(x["input"].unsqueeze(-1) - x["boundaries"], 0),
)
for name, function in {
    "unique": lambda x: torch.unique(x),
    "unique_inverse": lambda x: torch.unique(x, return_inverse=True),
    "unique_counts": lambda x: torch.unique(x, return_counts=True),
    "unique_consecutive": lambda x: torch.unique_consecutive(x, return_counts=True),
}.items():
    define(
        name,
        lambda b: ({"input": b.pick()}, {}),
        lambda x, a, f=function: f(x["input"].detach()),
        lambda x, a: apart(x["input"]),
    )


def among(b):
    n = b.pick()
    return {"input": n, "test": b.step("slice", {"input": n}, {"dim": 0, "start": 0, "end": 1, "step": 1})[0]}, {}


define(
    "isin", among, lambda x, a: torch.isin(x["input"].detach(), x["test"].detach()), lambda x, a: apart(x["input"])
)


# Shapes and places.
def once(x, a):
    """Each place is put to once: of several values PyTorch keeps any."""
    index = x["index"].sort(a["dim"])[0]
    return not bool((index.diff(dim=a["dim"]) == 0).any())


def put_along(b):
    operands, args = gathered(b)
    return {**operands, "src": b.like(b.of(operands["index"]).shape)}, args


define("scatter", put_along, lambda x, a: x["input"].scatter(a["dim"], x["index"], x["src"]), once)
define(
    "scatter_value",
    lambda b: (lambda x, a: (x, {**a, "value": 0.7}))(*gathered(b)),
    lambda x, a: x["input"].scatter(a["dim"], x["index"], a["value"]),
)


def repeated(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    if b.flag():
        return {"input": n}, {"repeats": b.rng.randint(1, 3), "dim": dim}
    counts = [b.rng.randint(0, 2) for _ in range(b.of(n).shape[dim])]
    return {"input": n, "repeats": b.new(torch.tensor(counts))}, {"dim": dim}


define(
    "repeat_interleave",
    repeated,
    lambda x, a: x["input"].repeat_interleave(x["repeats"] if "repeats" in x else a["repeats"], a["dim"]),
)


def windows(b, x):
    dim = b.a_dim(x)
    return {"dimension": dim, "size": b.rng.randint(1, x.shape[dim]), "step": b.rng.randint(1, 3)}


def moves(b, x):
    source = b.dims(x, 1)
    return {"source": source, "destination": b.rng.sample(range(x.dim()), len(source))}


shaped("unfold", windows, lambda x, dimension, size, step: x.unfold(dimension, size, step), 1, 3)
shaped("movedim", moves, torch.movedim, 1)
for name in ("hstack", "vstack", "dstack", "column_stack"):
    define(
        name,
        lambda b: (some(b, lambda x: x.dim() < 2, lambda: [b.dim()]) if b.flag() else joined(b)[0], {}),
        lambda x, a, f=getattr(torch, name): f(ordered(x)),
    )
define(
    "logspace",
    lambda b: ({}, {"start": -1.0, "end": 1.0, "steps": b.rng.randint(1, 5), "base": b.rng.choice([2.0, 10.0])}),
    lambda x, a: torch.logspace(a["start"], a["end"], a["steps"], a["base"]),
)
define(
    "geomspace",
    lambda b: ({}, {"start": 0.5, "end": 8.0, "steps": b.rng.randint(1, 5)}),
    lambda x, a: torch.logspace(-1.0, 3.0, a["steps"], 2.0),
)
