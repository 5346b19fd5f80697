"""Shapes, parts, and tensors made of others."""

import torch
import torch.nn.functional as F

from domains import ANY, away
from operations import define


def shaped(name, arguments, reference, low=0, high=4, guard=None):
    """An operation of one operand, whose arguments depend on its shape."""

    def propose(b):
        n = b.pick(ANY, lambda x: low <= x.dim() <= high, lambda: b.shape(low, min(high, 3)))
        return {"input": n}, arguments(b, b.of(n))

    define(name, propose, lambda x, a: reference(x["input"], **a), guard and (lambda x, a: guard(x["input"])))


def no_arguments(b, x):
    return {}


def another_shape(b, x):
    """Another factorisation of the number of elements, sometimes with one left to be found."""
    rest, shape = x.numel(), []
    while rest > 1 and len(shape) < 3:
        shape.append(b.rng.choice([d for d in range(1, rest + 1) if rest % d == 0]))
        rest //= shape[-1]
    shape.append(rest)
    if b.flag():
        shape[b.rng.randrange(len(shape))] = -1
    return {"shape": shape}


def permutation(b, x):
    order = b.rng.sample(range(x.dim()), x.dim())
    return {"dims": [d - x.dim() * b.rng.randint(0, 1) for d in order]}


def a_range(b, x):
    dim = b.a_dim(x)
    n = x.shape[dim]
    start = b.rng.randrange(n)
    return {"dim": dim, "start": start, "length": b.rng.randint(1, n - start)}


def place(b, x):
    dim = b.a_dim(x)
    return {"dim": dim, "index": b.rng.randrange(-x.shape[dim], x.shape[dim])}


def a_slice(b, x):
    dim = b.a_dim(x)
    n = x.shape[dim]
    start = b.rng.randrange(n)
    return {
        "dim": dim,
        "start": start - n * b.rng.randint(0, 1),
        "end": b.rng.randint(start + 1, n),
        "step": b.rng.randint(1, 2),
    }


def sliced(x, dim, start, end, step):
    where = [slice(None)] * x.dim()
    where[dim] = slice(start, end, step)
    return x[tuple(where)]


def padding(b, x):
    pairs = b.rng.randint(1, x.dim())
    return {"pad": [b.rng.choice([0, 1, 1, 2, -1]) for _ in range(2 * pairs)], "value": b.rng.choice([0.0, 0.7])}


def expansion(b, x):
    shape = [b.rng.randint(1, 3) if d == 1 else b.rng.choice([d, -1]) for d in x.shape]
    return {"shape": [b.rng.randint(1, 2) for _ in range(b.rng.randint(0, 1))] + shape}


def two_dims(b, x):
    dim1, dim2 = b.rng.sample(range(x.dim()), 2)
    return dim1 - x.dim() * b.rng.randint(0, 1), dim2 - x.dim() * b.rng.randint(0, 1)


def offset_of(b, x):
    dim1, dim2 = two_dims(b, x)
    return {"offset": b.rng.randint(1 - x.shape[dim1], x.shape[dim2] - 1), "dim1": dim1, "dim2": dim2}


def repeats(b, x):
    return {"repeats": [b.rng.randint(1, 2) for _ in range(x.dim() + b.rng.randint(0, 1))]}


def shifts(b, x):
    dims = b.dims(x, 1)
    return {"shifts": [b.rng.randint(-3, 3) for _ in dims], "dims": dims}


def singles(b, x):
    return {"dim": [d for d in range(x.dim()) if x.shape[d] == 1 and b.flag()]}


shaped("flip", lambda b, x: {"dims": b.dims(x, 1)}, torch.flip, 1)
shaped("roll", shifts, torch.roll, 1)
shaped("repeat", repeats, lambda x, repeats: x.repeat(repeats), 0, 3)
shaped("pad", padding, lambda x, pad, value: F.pad(x, pad, value=value), 1)
shaped("diagonal", offset_of, torch.diagonal, 2)
shaped("diag_embed", lambda b, x: {"offset": b.rng.randint(-1, 1)}, torch.diag_embed, 1, 3)
shaped("diag", lambda b, x: {"diagonal": b.rng.randint(-1, 1)}, torch.diag, 1, 2)
shaped("tril", lambda b, x: {"diagonal": b.rng.randint(-2, 2)}, torch.tril, 2)
shaped("triu", lambda b, x: {"diagonal": b.rng.randint(-2, 2)}, torch.triu, 2)
shaped("reshape", another_shape, torch.reshape)
shaped("permute", permutation, torch.permute)
shaped("transpose", lambda b, x: dict(zip(("dim0", "dim1"), two_dims(b, x))), torch.transpose, 2)
shaped("t", no_arguments, torch.t, 2, 2)
shaped("mt", no_arguments, lambda x: x.mT, 2)
shaped("squeeze", singles, lambda x, dim: x.squeeze(dim) if dim else x.squeeze())
shaped("unsqueeze", lambda b, x: {"dim": b.rng.randint(-x.dim() - 1, x.dim())}, torch.unsqueeze, 0, 3)
shaped("expand", expansion, lambda x, shape: x.expand(shape), 0, 3)
shaped("flatten", no_arguments, torch.flatten)
shaped("contiguous", no_arguments, lambda x: x.contiguous() + 0.0)
shaped("narrow", a_range, torch.narrow, 1)
shaped(
    "select",
    place,
    torch.select,
    1,
)
shaped("row", lambda b, x: {"index": b.rng.randrange(-x.shape[0], x.shape[0])}, lambda x, index: x[index], 1)
shaped("slice", a_slice, sliced, 1)
shaped(
    "split",
    lambda b, x: {"split_size": b.rng.randint(1, 3), "dim": b.a_dim(x)},
    lambda x, split_size, dim: x.split(split_size, dim),
    1,
)
shaped("chunk", lambda b, x: {"chunks": b.rng.randint(1, 3), "dim": b.a_dim(x)}, torch.chunk, 1)
shaped("nonzero", no_arguments, lambda x: x.detach().nonzero(), 1, 3, lambda x: away(x, 0))


def viewed(b):
    n = b.step("contiguous", {"input": b.pick()}, {})[0]
    return {"input": n}, another_shape(b, b.of(n))


define("view", viewed, lambda x, a: x["input"].contiguous().view(a["shape"]))


def some(b, fits, shape, low=1):
    """One to three operands, in the order of their names."""
    return dict(zip("abc", [b.pick(ANY, fits, shape) for _ in range(b.rng.randint(low, 3))]))


def joined(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    shape = list(b.of(n).shape)
    at = dim % len(shape)
    others = lambda x: x.dim() == len(shape) and all(k == at or x.shape[k] == shape[k] for k in range(len(shape)))
    return {"a": n, **some(b, others, lambda: shape[:at] + [b.dim()] + shape[at + 1 :])}, {"dim": dim}


def stacked(b):
    n = b.pick(ANY, lambda x: x.dim() < 4)
    shape = list(b.of(n).shape)
    operands = {"a": n, **dict(zip("bc", [b.like(shape) for _ in range(b.rng.randint(1, 2))]))}
    return operands, {"dim": b.rng.randint(-len(shape) - 1, len(shape))}


def ordered(x):
    return [x[k] for k in sorted(x)]


define("cat", joined, lambda x, a: torch.cat(ordered(x), a["dim"]))
define("stack", stacked, lambda x, a: torch.stack(ordered(x), a["dim"]))
define(
    "meshgrid",
    lambda b: (some(b, lambda x: x.dim() == 1, lambda: [b.dim()], 2), {}),
    lambda x, a: torch.meshgrid(*ordered(x), indexing="ij"),
)


# By tensors of indices.
def selected(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    dim = b.a_dim(b.of(n))
    return {"input": n, "index": b.indices(b.of(n).shape[dim], [b.rng.randint(1, 4)])}, {"dim": dim}


def gathered(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    x, dim = b.of(n), b.a_dim(b.of(n))
    shape = [b.rng.randint(1, 4) if k == dim % x.dim() else b.rng.randint(1, s) for k, s in enumerate(x.shape)]
    return {"input": n, "index": b.indices(x.shape[dim], shape)}, {"dim": dim}


def scattered(b):
    operands, args = gathered(b)
    shape = [d + b.rng.choice([0, 0, 1]) for d in b.of(operands["index"]).shape]
    return {**operands, "src": b.like(shape)}, args


def put(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    rows, *rest = b.of(n).shape
    add = b.flag()
    count = b.rng.randint(1, rows + 1 if add else rows)
    where = [b.rng.randrange(rows) for _ in range(count)] if add else b.rng.sample(range(rows), count)
    values = ([count] + rest)[b.rng.choice([0, 0, b.rng.randint(0, len(rest) + 1)]) :]
    return {"input": n, "index": b.new(torch.tensor(where)), "values": b.like(values)}, {"accumulate": add}


def read(source, index):
    """What is added; PyTorch has no gradient for a source that is larger than the index."""
    return source[tuple(slice(n) for n in index.shape)]


define("index_select", selected, lambda x, a: x["input"].index_select(a["dim"], x["index"]))
define("gather", gathered, lambda x, a: x["input"].gather(a["dim"], x["index"]))
define(
    "scatter_add", scattered, lambda x, a: x["input"].scatter_add(a["dim"], x["index"], read(x["src"], x["index"]))
)
define(
    "scatter_reduce",
    lambda b: (
        lambda x, a: (x, {**a, "reduce": b.rng.choice(["sum", "prod", "mean"]), "include_self": b.flag()})
    )(*scattered(b)),
    lambda x, a: x["input"].scatter_reduce(
        a["dim"], x["index"], read(x["src"], x["index"]), a["reduce"], include_self=a["include_self"]
    ),
)


def sliced(b, twice):
    """Slices for places along a dimension, each once or more often."""
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    shape, dim = list(b.of(n).shape), b.a_dim(b.of(n))
    size = shape[dim]
    count = b.rng.randint(1, size + 1 if twice else size)
    where = [b.rng.randrange(size) for _ in range(count)] if twice else b.rng.sample(range(size), count)
    shape[dim] = count
    return {"input": n, "index": b.new(torch.tensor(where)), "source": b.like(shape)}, {"dim": dim}


define(
    "index_copy", lambda b: sliced(b, False), lambda x, a: x["input"].index_copy(a["dim"], x["index"], x["source"])
)
define("index_add", lambda b: sliced(b, True), lambda x, a: x["input"].index_add(a["dim"], x["index"], x["source"]))
define("index_put", put, lambda x, a: x["input"].index_put((x["index"],), x["values"], a["accumulate"]))


# From nothing but numbers.
define(
    "full",
    lambda b: ({}, {"size": b.shape(), "fill_value": 0.7}),
    lambda x, a: torch.full(a["size"], a["fill_value"]),
)
define("eye", lambda b: ({}, {"n": b.order()}), lambda x, a: torch.eye(a["n"]))
define(
    "arange",
    lambda b: ({}, {"start": -1.0, "end": b.rng.choice([0.8, 2.3]), "step": b.rng.choice([0.5, 0.75])}),
    lambda x, a: torch.arange(a["start"], a["end"], a["step"]),
)
define(
    "linspace",
    lambda b: ({}, {"start": -1.0, "end": 2.0, "steps": b.rng.randint(1, 5)}),
    lambda x, a: torch.linspace(a["start"], a["end"], a["steps"]),
)
