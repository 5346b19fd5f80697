"""Products of vectors and matrices, and matrices made of fewer numbers."""

import torch

from domains import ANY, SMALL
from operations import define
from shapes import ordered, some


def vector(b, n=None):
    return b.pick(ANY, lambda x: x.dim() == 1 and n in (None, len(x)), lambda: [n or b.dim()])


def matrix(b, rows=None, columns=None):
    fits = lambda x: x.dim() == 2 and rows in (None, x.shape[0]) and columns in (None, x.shape[1])
    return b.pick(ANY, fits, lambda: [rows or b.dim(), columns or b.dim()])


def product(name, propose, function):
    """An operation of two operands; the second's name is PyTorch's."""
    define(name, lambda b: (propose(b), {}), lambda x, a: function(*x.values()))


def pair(second, make):
    def propose(b):
        n = make[0](b)
        return {"input": n, second: make[1](b, *b.of(n).shape)}

    return propose


product("dot", pair("tensor", (vector, vector)), torch.dot)
product("outer", pair("vec2", (vector, lambda b, n: vector(b))), torch.outer)
product("mv", pair("vec", (matrix, lambda b, m, n: vector(b, n))), torch.mv)
product("mm", pair("mat2", (matrix, lambda b, m, n: matrix(b, n))), torch.mm)


def batch_of(b, count=None, rows=None, columns=None):
    want = (count, rows, columns)
    fits = lambda x: x.dim() == 3 and all(w in (None, s) for w, s in zip(want, x.shape))
    return b.pick(ANY, fits, lambda: [w or b.dim() for w in want])


product("bmm", pair("mat2", (batch_of, lambda b, k, m, n: batch_of(b, k, n))), torch.bmm)


def multiplied(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1))
    inner = b.of(n).shape[-1]
    batch = list(b.of(n).shape[:-2])
    shapes = [[inner], [inner, b.dim()], batch + [inner, b.dim()], [b.rng.choice([1, 2])] + [inner, b.dim()]]
    shape = b.rng.choice(shapes)

    def fits(x):
        try:
            return x.dim() > 0 and torch.matmul(torch.zeros(b.of(n).shape), torch.zeros(x.shape)) is not None
        except RuntimeError:
            return False

    return {"input": n, "other": b.pick(ANY, fits, lambda: shape)}


product("matmul", multiplied, torch.matmul)


def factors(b):
    return {"beta": b.rng.choice([1.0, 0.5, 0.0]), "alpha": b.rng.choice([1.0, -0.7])}


def broadcast(b, shape):
    """An operand that broadcasts to a shape."""
    narrow = [1 if b.rng.random() < 0.2 else d for d in shape][b.rng.choice([0, 0, b.rng.randint(0, len(shape))]) :]
    return b.like(narrow)


def addmv(b):
    m = matrix(b)
    rows, columns = b.of(m).shape
    return {"input": broadcast(b, [rows]), "mat": m, "vec": vector(b, columns)}, factors(b)


def addmm(b):
    m = matrix(b)
    n = matrix(b, b.of(m).shape[1])
    return {"input": broadcast(b, [b.of(m).shape[0], b.of(n).shape[1]]), "mat1": m, "mat2": n}, factors(b)


def baddbmm(b):
    m = batch_of(b)
    n = batch_of(b, b.of(m).shape[0], b.of(m).shape[2])
    shape = [b.of(m).shape[0], b.of(m).shape[1], b.of(n).shape[2]]
    return {"input": broadcast(b, shape), "batch1": m, "batch2": n}, factors(b)


def adds(name, propose, matrices):
    reference = lambda x, a: getattr(torch, name)(x["input"], *[x[k] for k in matrices], **a)
    define(name, propose, reference)


adds("addmv", addmv, ("mat", "vec"))
adds("addmm", addmm, ("mat1", "mat2"))
adds("baddbmm", baddbmm, ("batch1", "batch2"))

EQUATIONS = [
    "ij,jk->ik", "ij,kj->ik", "ij->ji", "ii->i", "ii", "ij,ij->", "ij,ij->i", "i,j->ij", "bij,bjk->bik", "bij,jk->bik",
    "ij,j,i->", "ij,jk,kl->il", "i,ij,j", "bij->b", "ij,ik->ijk", "ijk,j->ik", "aab->b", "ij,ji->ij", "i,i,i->i",
    "ijk->kji",
]  # fmt: skip


def contracted(b):
    equation = b.rng.choice(EQUATIONS)
    sizes, operands = {}, {}
    for name, letters in zip("abc", equation.split("->")[0].split(",")):

        def fits(x):
            if x.dim() != len(letters):
                return False
            found = dict(sizes)
            return all(found.setdefault(c, s) == s for c, s in zip(letters, x.shape))

        def drawn():
            found = dict(sizes)
            return [found.setdefault(c, b.dim()) for c in letters]

        operands[name] = b.pick(ANY, fits, drawn)
        sizes.update(zip(letters, b.of(operands[name]).shape))
    return operands, {"equation": equation}


define("einsum", contracted, lambda x, a: torch.einsum(a["equation"], *ordered(x)))
define(
    "kron", lambda b: ({"input": b.pick(), "other": b.pick()}, {}), lambda x, a: torch.kron(x["input"], x["other"])
)


def crossed(b):
    n = b.pick(ANY, lambda x: 3 in x.shape, lambda: b.rng.choice([[3], [2, 3], [3, 2]]))
    shape = list(b.of(n).shape)
    dim = b.rng.choice([d for d, s in enumerate(shape) if s == 3])
    return {"input": n, "other": b.like(shape)}, {"dim": dim}


define("cross", crossed, lambda x, a: torch.linalg.cross(x["input"], x["other"], dim=a["dim"]))


def tensordot(b):
    n = b.pick(ANY, lambda x: x.dim() < 4)
    count = b.rng.randint(0, min(2, b.of(n).dim()))
    kept = list(b.of(n).shape)[b.of(n).dim() - count :]
    fits = lambda x: list(x.shape)[:count] == kept and x.dim() >= count
    return {"input": n, "other": b.pick(ANY, fits, lambda: kept + b.shape(0, 1))}, {"dims": count}


define("tensordot", tensordot, lambda x, a: torch.tensordot(x["input"], x["other"], a["dims"]))
define("trace", lambda b: ({"input": matrix(b)}, {}), lambda x, a: torch.trace(x["input"]))


def chain(b):
    operands = {"a": vector(b) if b.rng.random() < 0.3 else matrix(b)}
    for name in "bcd"[: b.rng.randint(1, 3)]:
        last = b.of(operands[sorted(operands)[-1]]).shape[-1]
        operands[name] = matrix(b, last)
    return operands, {}


define("multi_dot", chain, lambda x, a: torch.linalg.multi_dot(ordered(x)))


def powers(b):
    n = b.pick(SMALL, lambda x: x.dim() in (1, 2), lambda: b.shape(1, 2))
    return {"input": n}, {"N": b.rng.randint(1, 4), "decreasing": b.flag()}


def vander(x, a):
    y = torch.linalg.vander(x["input"], N=a["N"])
    return y.flip(-1) if a["decreasing"] else y


define("vander", powers, vander)
define(
    "block_diag",
    lambda b: (some(b, lambda x: x.dim() <= 2, lambda: b.shape(0, 2)), {}),
    lambda x, a: torch.block_diag(*ordered(x)),
)


def toeplitz(x, a):
    c, r = x["input"], x["row"]
    both = torch.cat([r[1:].flip(0), c])
    at = torch.arange(len(c)).unsqueeze(1) - torch.arange(len(r)) + len(r) - 1
    return both[at]


define("toeplitz", lambda b: ({"input": vector(b), "row": vector(b)}, {}), toeplitz)
