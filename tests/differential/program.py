"""A program: inputs, steps that are operations by name, and a loss. It is evaluated with PyTorch."""

import math

import torch


class Rejected(Exception):
    """A step or a program whose answer is not well determined."""


class Program:
    """Values are numbered: the inputs first, then the outputs of each step in turn."""

    def __init__(self, name, dtype):
        self.name, self.dtype = name, dtype
        self.inputs = []  # tensors of float64, int64 or bool
        self.layouts = []
        self.steps = []  # (operation's name, {operand: value's number}, {argument: value})
        self.counts = []  # how many outputs each step has
        self.loss = []  # (value's number, weights)
        self.directions = []  # one per input, None for integers and truth values

    def evaluate(self, reference, inputs, dtype=torch.float64):
        """Every value, with the inputs of floats as leaves."""
        torch.set_default_dtype(dtype)
        values = []
        for x in inputs:
            x = x.detach().clone()
            values.append(x.to(dtype).requires_grad_() if x.is_floating_point() else x)
        leaves = [x for x in values if x.requires_grad]
        for name, operands, args in self.steps:
            values.extend(run(reference[name], {k: values[n] for k, n in operands.items()}, args))
        return leaves, values

    def derivatives(self, reference, inputs, dtype=torch.float64):
        """The loss, the cotangents of all values, the gradient and its derivative along the directions."""
        leaves, values = self.evaluate(reference, inputs, dtype)
        loss = sum((values[n] * weights.to(dtype)).sum() for n, weights in self.loss)
        if not loss.requires_grad:
            raise Rejected("a loss without a slope")
        tracked = [n for n, v in enumerate(values) if v.requires_grad]
        found = torch.autograd.grad(loss, [values[n] for n in tracked], create_graph=True, allow_unused=True)
        cotangents = [None] * len(values)
        for n, g in zip(tracked, found):
            cotangents[n] = g
        floats = [n for n, x in enumerate(inputs) if x.is_floating_point()]
        gradients = [filled(cotangents[n], values[n]) for n in floats]
        along = sum((g * self.directions[n].to(dtype)).sum() for n, g in zip(floats, gradients))
        second = [None] * len(leaves)
        if along.requires_grad:
            second = torch.autograd.grad(along, leaves, allow_unused=True)
        second = [filled(g, x) for g, x in zip(second, leaves)]
        return Derivatives(loss, values, cotangents, gradients, second)


class Derivatives:
    """What a program is compared by."""

    def __init__(self, loss, values, cotangents, gradients, second):
        self.loss = loss.detach()
        self.values = [v.detach() for v in values]
        self.cotangents = [None if g is None else g.detach() for g in cotangents]
        self.gradients = [g.detach() for g in gradients]
        self.second = [g.detach() for g in second]

    def vectors(self, inputs):
        """Values, gradients and second derivatives, a vector each."""
        sums = [checksum(v) for v in self.values[inputs:]]
        first = [g.double().flatten() for g in self.gradients]
        second = [g.double().flatten() for g in self.second]
        return [torch.tensor(sums + [self.loss.item()], dtype=torch.float64), torch.cat(first), torch.cat(second)]

    def scales(self):
        """The largest number on the way to each of the vectors: rounding is relative to that."""
        largest = lambda tensors: max((t.double().abs().max().item() for t in tensors if t.numel()), default=0.0)
        value = max(1.0, largest(self.values))
        first = max(1.0, largest([g for g in self.cotangents if g is not None]))
        return [value, first, max(1.0, first, largest(self.second))]


def run(reference, operands, args):
    out = reference(operands, args)
    return list(out) if isinstance(out, (tuple, list)) else [out]


def filled(g, x):
    # The sum makes an ordinary tensor of PyTorch's zeros without memory.
    return torch.zeros_like(x) if g is None else g + torch.zeros_like(x)


def checksum(x):
    """All elements in one number: the sum of cos(k + 1) x_k in row-major order."""
    x = x.detach().double().flatten()
    return (torch.cos(torch.arange(1, x.numel() + 1, dtype=torch.float64)) * x).sum().item()


def numbers(x, digits):
    """The elements as JSON has them."""
    if x.is_floating_point():
        return [shortened(float(v), digits) for v in x.double().flatten().tolist()]
    return x.flatten().tolist()


def shortened(v, digits=17):
    if not math.isfinite(v):
        raise Rejected("a number that is not finite")
    v = float(f"{v:.{digits}g}")
    return int(v) if v == int(v) and abs(v) < 1e6 else v
