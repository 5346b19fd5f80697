"""Sparse matrices, given by places and values; PyTorch computes with dense ones."""

import torch

from domains import ANY, away, definite, regular
from factorisations import columns, pseudoinverse
from operations import define


def dense(x, size, prefix=""):
    out = torch.zeros(size, dtype=x[prefix + "values"].dtype)
    return out.index_put(tuple(x[prefix + "indices"]), x[prefix + "values"], accumulate=True)


def places(b, size):
    """Some places, sometimes one of them twice."""
    count = b.rng.randint(1, size[0] * size[1])
    return [(b.rng.randrange(size[0]), b.rng.randrange(size[1])) for _ in range(count)]


def a_matrix(b, size=None, prefix=""):
    size = size or [b.rng.randint(1, 4), b.rng.randint(1, 4)]
    at = places(b, size)
    operands = {prefix + "indices": b.new(torch.tensor(at).t().contiguous()), prefix + "values": b.like([len(at)])}
    return operands, {prefix + "size": size}


def of_sparse(name, function, more=lambda b, size: ({}, {})):
    def propose(b):
        operands, args = a_matrix(b)
        others, rest = more(b, args["size"])
        return {**operands, **others}, {**args, **rest}

    define(name, propose, lambda x, a: function(dense(x, a["size"]), x, a))


def vector(b, size):
    return {"vec": b.like([size[1]])}, {}


for name in ("sparse_mv", "sparse_csr", "sparse_csc"):
    of_sparse(name, lambda m, x, a: m @ x["vec"], vector)
of_sparse(
    "sparse_mm", lambda m, x, a: m @ x["mat2"], lambda b, size: ({"mat2": b.like([size[1], b.rng.randint(1, 3)])}, {})
)
of_sparse("sparse_to_dense", lambda m, x, a: m)
of_sparse("sparse_coalesce", lambda m, x, a: m)
of_sparse("sparse_t", lambda m, x, a: m.t())
of_sparse("sparse_sum", lambda m, x, a: m.sum())
of_sparse(
    "sparse_sum_dim",
    lambda m, x, a: m.sum(a["dim"]),
    lambda b, size: ({}, {"dim": b.rng.choice([[0], [1], [-1], [0, 1]])}),
)
of_sparse("sparse_scale", lambda m, x, a: m * x["factor"], lambda b, size: ({"factor": b.like([])}, {}))
of_sparse("sparse_mul_dense", lambda m, x, a: m * x["other"], lambda b, size: ({"other": b.like(size)}, {}))


def another(size_of):
    return lambda b, size: a_matrix(b, size_of(b, size), "other_")


of_sparse("sparse_add", lambda m, x, a: m + dense(x, a["other_size"], "other_"), another(lambda b, size: size))
of_sparse("sparse_sub", lambda m, x, a: m - dense(x, a["other_size"], "other_"), another(lambda b, size: size))
of_sparse(
    "sparse_mm_sparse",
    lambda m, x, a: m @ dense(x, a["other_size"], "other_"),
    another(lambda b, size: [size[1], b.rng.randint(1, 4)]),
)


def from_dense(b):
    n = b.pick(ANY, lambda x: x.dim() == 2, lambda: b.shape(2, 2))
    return {"input": n, "vec": b.like([b.of(n).shape[1]])}, {}


# Only what is not zero is stored.
define("sparse_from_dense", from_dense, lambda x, a: x["input"] @ x["vec"], lambda x, a: away(x["input"], 0))


def solved(name, propose, function, holds, vectors_only=False):
    def find(b):
        operands, args = propose(b)
        rows = args["size"][0]
        other = b.like([rows] if vectors_only or b.flag() else [rows, b.rng.randint(1, 3)])
        return {**operands, "other": other}, args

    define(
        name,
        find,
        lambda x, a: columns(function)(dense(x, a["size"]), x["other"]),
        lambda x, a: holds(dense(x, a["size"])),
    )


def tall(b, square=False):
    """A matrix with a diagonal that is larger than the rest."""
    n = b.rng.randint(1, 4)
    size = [n if square else n + b.rng.randint(0, 2), n]
    rest = [(i, j) for i in range(size[0]) for j in range(n) if i != j and b.rng.random() < 0.4]
    at = [(i, i) for i in range(n)] + rest
    values = [b.rng.choice([-1, 1]) * b.rng.uniform(1.5, 3) for _ in range(n)] + [b.rng.uniform(-1, 1) for _ in rest]
    order = b.rng.sample(range(len(at)), len(at))
    operands = {
        "indices": b.new(torch.tensor([at[k] for k in order]).t().contiguous()),
        "values": b.new(torch.tensor([round(values[k], 3) for k in order], dtype=torch.float64)),
    }
    return operands, {"size": size}


def positive(b):
    """A positive definite matrix: each number below the diagonal stands above it too."""
    n = b.rng.randint(1, 4)
    rest = [(i, j) for i in range(n) for j in range(i) if b.rng.random() < 0.5]
    diagonal = b.new(torch.tensor([round(b.rng.uniform(2, 4), 3) for _ in range(n)], dtype=torch.float64))
    at, values = [(i, i) for i in range(n)], diagonal
    if rest:
        beside = b.new(torch.tensor([round(b.rng.uniform(-0.8, 0.8), 3) for _ in rest], dtype=torch.float64))
        at = at + rest + [(j, i) for i, j in rest]
        values = b.step("cat", {"a": diagonal, "b": beside, "c": beside}, {"dim": 0})[0]
    return {"indices": b.new(torch.tensor(at).t().contiguous()), "values": values}, {"size": [n, n]}


def regular_square(a):
    return regular(a) and a.shape[0] == a.shape[1]


least = lambda a, b: pseudoinverse(a) @ b
solved("sparse_solve", lambda b: tall(b, True), torch.linalg.solve, regular_square)
solved("sparse_cholesky_solve", positive, torch.linalg.solve, definite)
solved("sparse_lstsq", tall, least, regular)
solved("cg", positive, torch.linalg.solve, definite, True)
solved("lsqr", tall, least, regular, True)


def triangle(m, upper, unit):
    m = m.triu() if upper else m.tril()
    if not unit:
        return m
    return m - torch.diag_embed(m.diagonal()) + torch.eye(m.shape[0], dtype=m.dtype)


def triangular(b):
    operands, args = tall(b, True)
    rows = args["size"][0]
    other = b.like([rows] if b.flag() else [rows, b.rng.randint(1, 3)])
    return {**operands, "other": other}, {**args, "upper": b.flag(), "unit": b.flag()}


define(
    "sparse_solve_triangular",
    triangular,
    lambda x, a: columns(torch.linalg.solve)(triangle(dense(x, a["size"]), a["upper"], a["unit"]), x["other"]),
    lambda x, a: regular(triangle(dense(x, a["size"]), a["upper"], a["unit"])),
)
