"""Systems, factorisations, spectra, functions of matrices, and what a solver found."""

import torch

from domains import ANY, SMALL, apart, away, definite, distinct, pivots_clear, regular, symmetric
from elementwise import two_that_broadcast
from operations import define
from program import Rejected

linalg = torch.linalg


def square(a):
    return a.dim() >= 2 and a.shape[-1] == a.shape[-2]


def regular_square(a):
    return square(a) and regular(a)


def spectrum_clear(a):
    return square(a) and bool(a.abs().lt(20).all()) and distinct(linalg.eigvalsh(symmetric(a)))


def definite_and_clear(a):
    return definite(a) and spectrum_clear(a)


def rectangular(b):
    return b.batch() + [b.order(), b.order()]


def singular_values_clear(a):
    return a.dim() >= 2 and regular(a) and distinct(linalg.svdvals(a))


def of_matrix(name, function, holds, shape=None, low=-2, high=2, arguments=lambda b, x: {}):
    def propose(b):
        n = b.matrix(holds, low, high, shape and (lambda: shape(b)))
        return {"input": n}, arguments(b, b.of(n))

    define(name, propose, lambda x, a: function(x["input"], **a), lambda x, a: holds(x["input"]))


def a_definite(b, holds=definite):
    """A matrix with a positive definite symmetric part: one that is there, or a Gram matrix with a raised diagonal."""
    good = [n for n in b.candidates() if b.of(n).dim() in (2, 3) and holds(b.of(n))]
    if good and b.flag():
        return b.preferred(good)
    n = b.pick(ANY, lambda x: x.dim() in (2, 3) and x.shape[-2] > 1, lambda: rectangular(b))
    t = b.then(n, ("mt", {}))
    gram = b.step("matmul", {"input": n, "other": t}, {})[0]
    eye = b.then(b.step("eye", {}, {"n": b.of(n).shape[-2]})[0], ("mul_scalar", {"scalar": 0.7}))
    n = b.step("add", {"input": gram, "other": eye}, {})[0]
    if not holds(b.of(n)):
        raise Rejected("not definite enough")
    return n


def of_definite(name, function, holds=definite, arguments=lambda b, x: {}):
    def propose(b):
        n = a_definite(b, holds)
        return {"input": n}, arguments(b, b.of(n))

    define(name, propose, lambda x, a: function(symmetric(x["input"]), **a), lambda x, a: holds(x["input"]))


def right_hand_side(b, n):
    """Of a system: vectors or matrices, for each matrix of the batch."""
    *batch, rows, _ = b.of(n).shape
    return b.like(b.rng.choice([batch + [rows], batch + [rows, b.rng.randint(1, 3)]]))


def are_vectors(a, b):
    return b.dim() == a.dim() - 1


def columns(function):
    """A function of matrices for vectors too."""

    def of(a, b, *rest, **more):
        if are_vectors(a, b):
            return function(a, b.unsqueeze(-1), *rest, **more).squeeze(-1)
        return function(a, b, *rest, **more)

    return of


def system(name, function, find, holds, arguments=lambda b: {}, prepare=lambda a: a):
    def propose(b):
        n = find(b)
        return {"input": n, "other": right_hand_side(b, n)}, arguments(b)

    define(
        name,
        propose,
        lambda x, a: columns(function)(prepare(x["input"]), x["other"], **a),
        lambda x, a: holds(x["input"]),
    )


def pseudoinverse(a):
    """Of a matrix of full rank. The second derivative of PyTorch's own loses digits."""
    if a.shape[-2] < a.shape[-1]:
        return pseudoinverse(a.mT).mT
    q, r = linalg.qr(a)
    return linalg.solve_triangular(r, q.mT, upper=True)


of_matrix("inverse", linalg.inv, regular_square)
of_matrix("det", linalg.det, regular_square)
of_matrix("slogdet", linalg.slogdet, regular_square)
of_matrix("logdet", torch.logdet, lambda a: regular_square(a) and bool((linalg.det(a) > 0.05).all()))
of_matrix("pinv", pseudoinverse, regular, rectangular)
of_matrix(
    "lu",
    linalg.lu,
    lambda a: a.dim() >= 2 and a.shape[-2] <= a.shape[-1] and regular(a) and pivots_clear(a),
    rectangular,
)


def qr(a):
    """With a positive diagonal of R: LAPACK leaves the signs open."""
    q, r = linalg.qr(a)
    signs = r.diagonal(dim1=-2, dim2=-1).detach().sign()
    return q * signs.unsqueeze(-2), r * signs.unsqueeze(-1)


of_matrix("qr", qr, lambda a: a.dim() >= 2 and regular(a) and regular(a[..., : a.shape[-2]]), rectangular)
of_matrix(
    "qr_complete",
    qr,
    lambda a: a.dim() >= 2 and a.shape[-2] <= a.shape[-1] and regular(a) and regular(a[..., : a.shape[-2]]),
    rectangular,
)
of_matrix("eigvalsh", lambda a: linalg.eigvalsh(symmetric(a)), spectrum_clear)
of_matrix("svdvals", linalg.svdvals, singular_values_clear, rectangular)
of_matrix("cond", linalg.cond, singular_values_clear, rectangular)
of_matrix("matrix_rank", linalg.matrix_rank, regular, rectangular)
of_matrix("matrix_exp", linalg.matrix_exp, lambda a: square(a) and bool(a.abs().sum(-1).lt(4).all()))
of_matrix(
    "matrix_power",
    linalg.matrix_power,
    lambda a: regular_square(a) and bool(a.abs().lt(5).all()),
    arguments=lambda b, x: {"n": b.rng.randint(-2, 4)},
)
of_matrix("pinv_hermitian", lambda a: linalg.inv(symmetric(a)), lambda a: square(a) and regular(symmetric(a)))

system("solve", linalg.solve, lambda b: b.matrix(regular_square), regular_square)
system("lu_solve", linalg.solve, lambda b: b.matrix(regular_square), regular_square)
system("lstsq", lambda a, b: pseudoinverse(a) @ b, lambda b: b.matrix(regular, shape=lambda: rectangular(b)), regular)
system("cholesky_solve", linalg.solve, a_definite, definite, prepare=symmetric)


def both_triangles_regular(a):
    return square(a) and regular(a.tril()) and regular(a.triu())


system(
    "solve_triangular",
    lambda a, b, upper: linalg.solve_triangular(a, b, upper=upper),
    lambda b: b.matrix(both_triangles_regular),
    both_triangles_regular,
    lambda b: {"upper": b.flag()},
)


def with_info(a, upper):
    factor = linalg.cholesky(a, upper=upper)
    return factor, torch.zeros(a.shape[:-2], dtype=torch.int64)


of_definite("cholesky", linalg.cholesky)
of_definite("cholesky_upper", lambda a: linalg.cholesky(a, upper=True))
of_definite("cholesky_ex", with_info, arguments=lambda b, x: {"upper": b.flag()})
of_definite(
    "cholesky_jitter",
    lambda a, jitter: (linalg.cholesky(a), torch.zeros(a.shape[:-2], dtype=a.dtype)),
    arguments=lambda b, x: {"jitter": 1e-8},
)


# Functions of symmetric matrices.
def by_spectrum(f):
    def function(a, **args):
        w, v = linalg.eigh(a)
        return v @ torch.diag_embed(f(w, **args)) @ v.mT

    return function


def squared_vectors(a):
    """Without the signs of the vectors, which are nobody's."""
    w, v = linalg.eigh(symmetric(a))
    return w, v.square()


def small_spectrum(a):
    return spectrum_clear(a) and bool(linalg.eigvalsh(symmetric(a)).abs().lt(6).all())


of_matrix("eigh_exp", lambda a: by_spectrum(lambda w: (w * 0.3).exp())(symmetric(a)), small_spectrum)
of_matrix("eigh_squares", squared_vectors, spectrum_clear)
of_matrix(
    "symmetric_exp",
    lambda a: linalg.matrix_exp(symmetric(a) * 0.3),
    lambda a: square(a) and bool(a.abs().lt(5).all()),
)
of_matrix("symmetric_function", lambda a: by_spectrum(torch.cos)(symmetric(a)), spectrum_clear)
of_definite("symmetric_log", by_spectrum(torch.log), definite_and_clear)
of_definite(
    "symmetric_power",
    by_spectrum(lambda w, exponent: w**exponent),
    definite_and_clear,
    lambda b, x: {"exponent": b.rng.choice([0.5, -0.5, 1.5, -1, 2])},
)


def projected(b):
    n = b.matrix(lambda a: spectrum_clear(a) and a.shape[-1] > 1)
    w = linalg.eigvalsh(symmetric(b.of(n))).flatten().sort()[0]
    k = b.rng.randrange(len(w) - 1)
    return {"input": n}, {"threshold": round((w[k] + w[k + 1]).item() / 2, 3)}


define(
    "spectral_projector",
    projected,
    lambda x, a: by_spectrum(lambda w: (w > a["threshold"]).to(w.dtype))(symmetric(x["input"])),
    lambda x, a: (
        spectrum_clear(x["input"])
        and bool((linalg.eigvalsh(symmetric(x["input"])) - a["threshold"]).abs().gt(0.05).all())
    ),
)


# Singular values and norms.
def truncated(a, rank):
    u, s, vt = linalg.svd(a, full_matrices=False)
    return (u[..., :rank] * s[..., None, :rank]) @ vt[..., :rank, :]


def squares(a):
    u, s, vt = linalg.svd(a, full_matrices=False)
    return u.square(), s, vt.square()


of_matrix(
    "svd_truncated",
    truncated,
    singular_values_clear,
    rectangular,
    arguments=lambda b, x: {"rank": b.rng.randint(1, min(x.shape[-2:]))},
)
of_matrix("svd_squares", squares, singular_values_clear, rectangular)


def normed(b):
    return {"input": b.matrix(singular_values_clear, shape=lambda: rectangular(b))}, {
        "ord": b.rng.choice(["fro", "nuc", "inf", "-inf", 1, -1, 2, -2])
    }


def norm_is_smooth(x, a):
    x, ord = x["input"], a["ord"]
    if ord in ("fro", "nuc", 2, -2):
        return singular_values_clear(x)
    sums = x.abs().sum(-1 if ord in ("inf", "-inf") else -2)
    return away(x, 0) and apart(sums, -1)


define(
    "matrix_norm",
    normed,
    lambda x, a: linalg.matrix_norm(x["input"], float(a["ord"]) if a["ord"] in ("inf", "-inf") else a["ord"]),
    norm_is_smooth,
)


# What a solver found: x with x + x^3 = p.
def root(x, a):
    p = x["input"]
    y = p.detach().tanh()
    for _ in range(60):
        y = y - (y + y**3 - p.detach()) / (1 + 3 * y**2)
    for _ in range(2):
        y = y - (y + y**3 - p) / (1 + 3 * y**2)
    return y


define("implicit_root", lambda b: ({"input": b.pick(SMALL)}, {}), root, lambda x, a: SMALL.holds(x["input"]))
define("implicit_argmin", lambda b: ({"input": b.pick(SMALL)}, {}), root, lambda x, a: SMALL.holds(x["input"]))
define(
    "checkpoint",
    lambda b: (two_that_broadcast(b), {}),
    lambda x, a: x["input"].sin() * x["other"].tanh(),
)
