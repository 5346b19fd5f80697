"""Linear algebra in PyTorch: the same work as benches/linalg.rs, under the same ids."""

import math
from collections.abc import Callable, Iterator
from typing import Any

DTYPES = {"f64": "float64", "f32": "float32"}
SEED = 20
Run = Callable[[], Any]

PRODUCTS = {"addmv": (1000, 1000), "mv": (1000, 1000), "mm": (1000, 1000), "bmm": (32, 512, 512)}
BATCHED = ("inverse", "det", "solve", "pinv", "svd", "eigh")
FACTORISATIONS = (*BATCHED, "cholesky", "qr")
SINGLES = ((8, 8), (64, 64), (512, 512), (1000, 1000))
BATCHES = ((1000, 8, 8), (100_000, 3, 3))


def works() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every operation with the shape of its matrices."""
    yield from PRODUCTS.items()
    yield from ((op, shape) for op in FACTORISATIONS for shape in SINGLES)
    yield from ((op, shape) for op in BATCHED for shape in BATCHES)


def size(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[:-1]))


def limit(op: str, shape: tuple[int, ...]) -> float:
    """The target: the greatest ratio of our time to PyTorch's."""
    if op in PRODUCTS:
        return 1.1
    if len(shape) == 3:
        return 0.15
    return {8: 0.3, 64: 0.8}.get(shape[-1], 1.2)


def build(torch: Any, op: str, dtype: str, what: str, shape: tuple[int, ...]) -> Run:
    generator = torch.Generator().manual_seed(SEED)

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator, dtype=getattr(torch, DTYPES[dtype]))

    linalg, vector = torch.linalg, shape[:-1]
    f: Callable[..., Any]
    operands = [normal(*shape)]
    if op in ("eigh", "cholesky"):
        operands[0] = (operands[0] + operands[0].mT) / 2
    if op == "det":  # near one, where that of normal numbers overflows
        operands[0] *= math.sqrt(math.e / shape[-1])
    if op == "cholesky":
        operands[0] += 2 * shape[-1] * torch.eye(shape[-1], dtype=operands[0].dtype)
    if op == "addmv":
        f, operands = torch.addmv, [normal(*vector), *operands, normal(*vector)]
    elif op == "mv":
        f, operands = torch.mv, [*operands, normal(*vector)]
    elif op in ("mm", "bmm"):
        f, operands = getattr(torch, op), [*operands, normal(*shape)]
    elif op == "solve":
        f, operands = linalg.solve, [*operands, normal(*vector)]
    elif op == "inverse":
        f = linalg.inv
    elif op == "svd":
        f = lambda a: linalg.svd(a, full_matrices=False)  # noqa: E731
    else:
        f = getattr(linalg, op)

    def outputs() -> tuple[Any, ...]:
        y = f(*operands)
        return tuple(y) if not isinstance(y, torch.Tensor) else (y,)

    if what == "forward":
        return outputs
    for x in operands:
        x.requires_grad_()
    cotangents = [torch.ones_like(y) for y in outputs()]
    gradients = torch.autograd.grad(outputs(), operands, cotangents)
    # Singular values may be close by chance, in single precision above all, but not all gradients wrong.
    if not all(math.isfinite(g.abs().median()) for g in gradients):
        raise ArithmeticError(f"{op} {dtype} {shape}: a gradient is not finite")
    return lambda: torch.autograd.grad(outputs(), operands, cotangents)
