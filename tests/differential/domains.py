"""What operations need of their operands: domains, and distance from kinks, poles and singular matrices."""

import torch

MARGIN = 2e-3  # how near a kink nothing may be


class Domain:
    """Where an operation is smooth: a test, new elements, and steps that lead there from anywhere."""

    def __init__(self, holds, low, high, adapt=()):
        self.accepts, self.low, self.high, self.adapt = holds, low, high, adapt

    def holds(self, x):
        return x.numel() == 0 or bool(self.accepts(x.detach()).all())

    def draw(self, rng, shape):
        count = 1
        for n in shape:
            count *= n
        data = [round(rng.uniform(self.low, self.high), 3) for _ in range(count)]
        return torch.tensor(data, dtype=torch.float64).reshape(shape)


def steps(*chain):
    """Unary steps, each a name or a name with arguments."""
    return [(s, {}) if isinstance(s, str) else s for s in chain]


POSITIVE_BY = [
    steps("softplus", ("add_scalar", {"scalar": 0.1})),
    steps("square", ("add_scalar", {"scalar": 0.2})),
    steps("sigmoid", ("add_scalar", {"scalar": 0.1})),
    steps(("mul_scalar", {"scalar": 0.3}), "exp"),
]
ANY = Domain(lambda x: x.abs() < 30, -2, 2)
SMALL = Domain(lambda x: x.abs() < 4, -2, 2, [steps("tanh"), steps("sin"), steps("atan")])
POSITIVE = Domain(lambda x: (x > 0.05) & (x < 30), 0.2, 3, POSITIVE_BY)
NONZERO = Domain(lambda x: (x.abs() > 0.1) & (x.abs() < 30), 0.3, 3, POSITIVE_BY)
UNIT = Domain(
    lambda x: x.abs() < 0.93,
    -0.9,
    0.9,
    [
        steps("tanh", ("mul_scalar", {"scalar": 0.9})),
        steps(("mul_scalar", {"scalar": 0.7}), "erf", ("mul_scalar", {"scalar": 0.9})),
    ],
)
SHARE = Domain(lambda x: (x > 0.02) & (x < 0.98), 0.05, 0.95, [steps("sigmoid")])
ABOVE_ONE = Domain(lambda x: (x > 1.05) & (x < 30), 1.2, 4, [steps("softplus", ("add_scalar", {"scalar": 1.1}))])
ABOVE_MINUS_ONE = Domain(lambda x: (x > -0.9) & (x < 30), -0.8, 3, POSITIVE_BY)


def away(x, *points):
    """No element is near one of the points."""
    return all(bool((x - p).abs().gt(MARGIN).all()) for p in points)


def fractional(x):
    """No element is near an integer."""
    return bool((x - x.round()).abs().gt(MARGIN).all())


def apart(x, dim=None):
    """No two elements along the dimension, or at all, are nearly equal."""
    x = x.detach().flatten() if dim is None else x.detach()
    if x.dim() == 0 or x.numel() == 0:
        return True
    return bool(x.sort(-1 if dim is None else dim)[0].diff(dim=-1 if dim is None else dim).gt(MARGIN).all())


def regular(a, most=60.0):
    """The condition of every matrix is moderate, and its size too."""
    if a.dim() < 2 or 0 in a.shape:
        return False
    s = torch.linalg.svdvals(a.detach())
    return bool((s[..., 0] < most * s[..., -1]).all() and s.min() > 0.05 and s.max() < 100)


def distinct(w, gap=0.05):
    """No two numbers of a spectrum are near each other."""
    return w.shape[-1] < 2 or bool(w.sort(-1)[0].diff(dim=-1).gt(gap).all())


def symmetric(a):
    return (a + a.mT) * 0.5


def definite(a):
    if a.dim() < 2 or 0 in a.shape or a.shape[-1] != a.shape[-2]:
        return False
    w = torch.linalg.eigvalsh(symmetric(a.detach()))
    return bool((w > 0.2).all() and (w[..., -1] < 60 * w[..., 0]).all() and w.max() < 100)


def pivots_clear(a):
    """In each step of LU the largest pivot is clearly the largest, and not small."""
    for m in a.detach().reshape(-1, *a.shape[-2:]).clone():
        for k in range(min(m.shape) - (1 if m.shape[0] <= m.shape[1] else 0)):
            column = m[k:, k].abs().sort(descending=True)[0]
            if column[0] < 0.1 or (len(column) > 1 and column[0] - column[1] < 10 * MARGIN):
                return False
            p = k + int(m[k:, k].abs().argmax())
            m[[k, p]] = m[[p, k]]
            m[k + 1 :] -= torch.outer(m[k + 1 :, k] / m[k, k], m[k])
        if abs(m[min(m.shape) - 1, min(m.shape) - 1]) < 0.1:
            return False
    return True
