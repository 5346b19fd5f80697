"""General matrices: eigenvalues and what is made of them, roots and logarithms, Sylvester equations; Fourier transforms."""

import torch

from domains import ANY, regular
from factorisations import of_matrix, regular_square, square
from operations import define

linalg = torch.linalg
GAP = 0.1  # how near each other eigenvalues may be


def eigenvalues_clear(a):
    """The eigenvalues are well apart, those that are not conjugates in their real parts, and the vectors independent."""
    if not square(a) or 0 in a.shape or not bool(a.abs().lt(20).all()):
        return False
    w, v = linalg.eig(a)
    for w, v in zip(w.reshape(-1, a.shape[-1]), v.reshape(-1, *a.shape[-2:])):
        upper = w[w.imag >= 0]
        if bool(((w.imag != 0) & (w.imag.abs() < GAP)).any()) or not regular_vectors(v):
            return False
        if len(upper) > 1 and bool(upper.real.sort()[0].diff().lt(GAP).any()):
            return False
    return True


def regular_vectors(v):
    s = linalg.svdvals(v)
    return bool(s[..., 0] < 20 * s[..., -1])


def off_the_negative_axis(a):
    """Where logarithms and roots have their principal values, and are not steep."""
    if not eigenvalues_clear(a):
        return False
    w = linalg.eigvals(a)
    return bool(((w.real > 0.2) | (w.imag.abs() > 0.5)).all())


def ascending(w):
    """The order of eigenvalues by their real parts, and then their imaginary ones."""
    rounded = torch.stack([(w.detach().real * 1e6).round(), w.detach().imag])
    rows = rounded.reshape(2, -1, w.shape[-1])
    orders = [sorted(range(w.shape[-1]), key=lambda k: tuple(row[:, k].tolist())) for row in rows.unbind(1)]
    return torch.tensor(orders).reshape(w.shape)


def eigenvalues(a):
    w = linalg.eigvals(a)
    w = w.gather(-1, ascending(w))
    return w.real, w.imag


def squares(a):
    """Of the lengths of the vectors' elements, without their phases, which are nobody's."""
    w, v = linalg.eig(a)
    of = v.real.square() + v.imag.square()
    return of.gather(-1, ascending(w).unsqueeze(-2).expand(of.shape))


def by_eigenvalues(f):
    def function(a):
        w, v = linalg.eig(a)
        return ((v * f(w).unsqueeze(-2)) @ linalg.inv(v)).real

    return function


of_matrix("eigvals", eigenvalues, eigenvalues_clear)
of_matrix("eig_squares", squares, eigenvalues_clear)
of_matrix(
    "eig_exp",
    by_eigenvalues(lambda w: (w * 0.3).exp()),
    lambda a: eigenvalues_clear(a) and bool(linalg.eigvals(a).abs().lt(6).all()),
)
of_matrix("matrix_log", by_eigenvalues(torch.log), off_the_negative_axis)
of_matrix("matrix_sqrt", by_eigenvalues(torch.sqrt), off_the_negative_axis)


def kronecker(a, b):
    """The matrix of X -> A X + X B, of X row by row."""
    m, n = a.shape[-1], b.shape[-1]
    return torch.kron(a.contiguous(), torch.eye(n, dtype=a.dtype)) + torch.kron(torch.eye(m, dtype=a.dtype), b.mT.contiguous())


def of_two_dimensions(a):
    return a.dim() == 2 and square(a) and bool(a.abs().lt(20).all())


def equation(b):
    a = b.matrix(of_two_dimensions, shape=lambda: [b.order()] * 2)
    other = b.matrix(of_two_dimensions, shape=lambda: [b.order()] * 2)
    return {"input": a, "other": other, "right": b.like([b.of(a).shape[0], b.of(other).shape[0]])}, {}


define(
    "solve_sylvester",
    equation,
    lambda x, a: linalg.solve(kronecker(x["input"], x["other"]), x["right"].flatten()).reshape(x["right"].shape),
    lambda x, a: (
        of_two_dimensions(x["input"])
        and of_two_dimensions(x["other"])
        and regular_square(kronecker(x["input"], x["other"]))
    ),
)


def transform(name, function, complex_input=True, complex_output=True):
    def propose(b):
        n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1, 3))
        x = b.of(n)
        dim = b.a_dim(x)
        least = 2 if name == "irfft" and x.shape[dim] < 2 else 1
        length = b.rng.choice([None, None, b.rng.randint(least, x.shape[dim] + 2)])
        if name == "irfft" and length is None and x.shape[dim] < 2:
            length = 2
        operands = {"input": n, "other": b.like(x.shape)} if complex_input else {"input": n}
        return operands, {"n": length, "dim": dim, "norm": b.rng.choice(["backward", "ortho", "forward"])}

    def reference(x, a):
        z = torch.complex(x["input"], x["other"]) if complex_input else x["input"].contiguous()
        y = function(z, n=a["n"], dim=a["dim"], norm=a["norm"])
        return (y.real, y.imag) if complex_output else y

    define(name, propose, reference)


transform("fft", torch.fft.fft)
transform("ifft", torch.fft.ifft)
transform("rfft", torch.fft.rfft, complex_input=False)
transform("irfft", torch.fft.irfft, complex_output=False)


def shifted(b):
    n = b.pick(ANY, lambda x: x.dim() > 0, lambda: b.shape(1, 3))
    return {"input": n}, {"dims": b.dims(b.of(n), 1)}


define("fftshift", shifted, lambda x, a: torch.fft.fftshift(x["input"], dim=a["dims"]))
define("ifftshift", shifted, lambda x, a: torch.fft.ifftshift(x["input"], dim=a["dims"]))
