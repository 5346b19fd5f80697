"""Sparse products in SciPy and PyTorch: the same work as benches/sparse.rs, under the same ids."""

from collections.abc import Callable
from typing import Any

ROWS = 1_000_000
EACH = 10
SEED = 20
WORKS = ("mv", "gradient_of_x", "gradient")
# The greatest ratio of our time to the peer's.
LIMIT = 0.7
Run = Callable[[], Any]


def mixed(np: Any, k: Any) -> Any:
    """The splitmix64 sequence."""
    z = (k + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def data(np: Any, index: Any) -> tuple[Any, Any, Any, Any]:
    """Starts and columns of the rows, values, and a vector."""
    k = np.arange(ROWS * EACH, dtype=np.uint64)
    part = np.uint64(ROWS // EACH)
    columns = k % np.uint64(EACH) * part + mixed(np, k) % part
    rng = np.random.default_rng(SEED)
    starts = np.arange(0, ROWS * EACH + 1, EACH, dtype=index)
    return starts, columns.astype(index), rng.standard_normal(ROWS * EACH), rng.standard_normal(ROWS)


def build_scipy(scipy_sparse: Any, np: Any, work: str) -> Run:
    # SciPy's own choice of index type for such a matrix.
    starts, columns, values, x = data(np, np.int32)
    a = scipy_sparse.csr_array((values, columns, starts), shape=(ROWS, ROWS))
    transposed, ones = a.T, np.ones(ROWS)
    if work == "mv":
        return lambda: a @ x
    if work == "gradient_of_x":
        return lambda: (a @ x, transposed @ ones)
    rows = np.repeat(np.arange(ROWS, dtype=np.int32), EACH)
    return lambda: (a @ x, transposed @ ones, ones[rows] * x[columns])


def build_torch(torch: Any, np: Any, work: str) -> Run:
    starts, columns, values, x = map(torch.from_numpy, data(np, np.int64))
    a = torch.sparse_csr_tensor(starts, columns, values, (ROWS, ROWS))
    ones = torch.ones(ROWS, dtype=torch.float64)
    if work == "mv":
        return lambda: a @ x
    x.requires_grad_()
    if work == "gradient_of_x":
        return lambda: torch.autograd.grad(a @ x, x, ones)
    # PyTorch's sparse products form the gradient of the values as a dense matrix, of 8 TB here: by indices instead.
    rows, values = torch.arange(ROWS).repeat_interleave(EACH), values.requires_grad_()
    product = lambda: torch.zeros(ROWS, dtype=torch.float64).index_add(0, rows, values * x[columns])  # noqa: E731
    return lambda: torch.autograd.grad(product(), (values, x), ones)
