"""Builds a program at random, step by step, and keeps each value away from what is not well determined."""

import math

import torch

from domains import ANY
from program import Program, Rejected, run

LARGEST = 1e3  # what a value may be
INPUTS = 7  # how many a program may have, indices and masks included


class Builder:
    """Values are numbered as they come; `finish` puts the inputs first."""

    def __init__(self, operations, rng, name, dtype, size):
        self.operations, self.rng, self.name, self.dtype, self.size = operations, rng, name, dtype, size
        self.values, self.inputs, self.steps, self.used = [], [], [], set()

    # Shapes.

    def dim(self):
        """The size of a dimension: mostly small, 1 often, so that it is broadcast."""
        return self.rng.choice([1, 2, 2, 3, 3, self.rng.randint(1, self.size)])

    def shape(self, low=0, high=3):
        rank = self.rng.choice([n for n in (0, 1, 1, 2, 2, 2, 3, 3, 4) if low <= n <= high] or [low])
        while True:
            shape = [self.dim() for _ in range(rank)]
            if math.prod(shape) <= 6 * self.size:
                return shape

    def batch(self):
        return self.rng.choice([[], [], [], [2], [self.rng.randint(1, 5)]])

    def order(self):
        """That of a square matrix."""
        return self.rng.choice([1, 2, 2, 3, 3, self.rng.randint(2, self.size)])

    def dims(self, x, least=0):
        """Some of the dimensions, counted from either end."""
        count = self.rng.randint(min(least, x.dim()), x.dim())
        return [d - x.dim() * self.rng.randint(0, 1) for d in self.rng.sample(range(x.dim()), count)]

    def a_dim(self, x):
        if x.dim() == 0:
            raise Rejected("no dimension")
        return self.rng.randrange(-x.dim(), x.dim())

    def flag(self):
        return self.rng.random() < 0.5

    # Values.

    def of(self, n):
        return self.values[n].detach()

    def new(self, x):
        """An input with these elements."""
        if len(self.inputs) >= INPUTS:
            raise Rejected("enough inputs")
        if x.is_floating_point():
            if self.dtype == "f32":
                x = x.to(torch.float32).to(torch.float64)
            x = x.detach().clone().requires_grad_()
        self.values.append(x)
        self.inputs.append((len(self.values) - 1, self.rng.choice("cccts")))
        return len(self.values) - 1

    def fresh(self, shape, domain=ANY):
        return self.new(domain.draw(self.rng, shape))

    def indices(self, below, shape):
        return self.new(torch.tensor([self.rng.randrange(below) for _ in range(math.prod(shape))]).reshape(shape))

    def step(self, name, operands, args):
        """One more step, and the numbers of its outputs."""
        operation = self.operations[name]
        x = {k: self.values[n] for k, n in operands.items()}
        if operation.guard and not operation.guard({k: v.detach() for k, v in x.items()}, args):
            raise Rejected("near a kink or out of the domain")
        try:
            outputs = run(operation.reference, x, args)
        except (RuntimeError, IndexError, ValueError, TypeError) as e:
            raise Rejected(f"{name} refused by PyTorch: {e}")
        for y in outputs:
            if y.numel() > 24 * self.size or y.dim() > 4 or y.numel() == 0:
                raise Rejected("too large or empty")
            if y.is_floating_point() and not bool((y.detach().abs() < LARGEST).all()):
                raise Rejected("too large a number")
        self.steps.append((name, operands, args, len(self.values), len(outputs)))
        self.used.update(operands.values())
        self.values.extend(outputs)
        return list(range(len(self.values) - len(outputs), len(self.values)))

    def then(self, n, *chain):
        """Steps of one operand each, one after the other."""
        for name, args in chain:
            n = self.step(name, {"input": n}, args)[0]
        return n

    def candidates(self, kind=torch.float64):
        return [n for n, v in enumerate(self.values) if v.dtype == kind]

    def preferred(self, candidates):
        """One of them, those that nothing has taken before others."""
        return self.rng.choice(candidates + 3 * [n for n in candidates if n not in self.used])

    def pick(self, domain=ANY, fits=lambda x: True, shape=None, but=None):
        """A value in the domain: one that is there, one brought there by steps, or a new input."""
        there = [n for n in self.candidates() if n != but and fits(self.of(n))]
        good = [n for n in there if domain.holds(self.of(n))]
        chance = self.rng.random()
        if good and chance < 0.85:
            return self.preferred(good)
        if there and domain.adapt and chance < 0.95:
            n = self.then(self.preferred(there), *self.rng.choice(domain.adapt))
            if domain.holds(self.of(n)):
                return n
            raise Rejected("not brought into the domain")
        return self.fresh(shape() if shape else self.shape(), domain)

    def partner(self, n, domain=ANY):
        """A value that broadcasts with another."""
        shape = list(self.of(n).shape)

        def broadcasts(x):
            try:
                return math.prod(torch.broadcast_shapes(x.shape, shape)) <= 12 * self.size
            except RuntimeError:
                return False

        def drawn():
            kept = shape[self.rng.randint(0, len(shape)) if self.rng.random() < 0.3 else 0 :]
            return [1 if self.rng.random() < 0.25 else d for d in kept]

        return self.pick(domain, broadcasts, drawn, n if self.rng.random() < 0.9 else None)

    def like(self, shape, domain=ANY):
        """A value of this shape."""
        shape = list(shape)
        return self.pick(domain, lambda x: list(x.shape) == shape, lambda: shape)

    def mask(self, n):
        """Truth values that broadcast to a value's shape."""
        shape = list(self.of(n).shape)
        there = [m for m in self.candidates(torch.bool) if list(self.of(m).shape) == shape]
        if there and self.rng.random() < 0.6:
            return self.preferred(there)
        kept = shape[self.rng.randint(0, len(shape)) if self.rng.random() < 0.2 else 0 :]
        return self.new(torch.tensor([self.flag() for _ in range(math.prod(kept))], dtype=torch.bool).reshape(kept))

    def matrix(self, holds, low=-2, high=2, shape=None):
        """A matrix or a batch of them of which `holds` is true."""
        good = [n for n in self.candidates() if self.of(n).dim() in (2, 3) and holds(self.of(n))]
        if good and self.rng.random() < 0.85:
            return self.preferred(good)
        for _ in range(30):
            at = shape() if shape else self.batch() + [self.order()] * 2
            count = math.prod(at)
            x = torch.tensor([round(self.rng.uniform(low, high), 3) for _ in range(count)], dtype=torch.float64)
            if holds(x.reshape(at)):
                return self.new(x.reshape(at))
        raise Rejected("no such matrix")

    # The program.

    def finish(self):
        """The program with its inputs first, its loss and its directions."""
        program = Program(self.name, self.dtype)
        number = {n: k for k, (n, _) in enumerate(self.inputs)}
        program.inputs = [self.values[n].detach() for n, _ in self.inputs]
        program.layouts = [layout for _, layout in self.inputs]
        for name, operands, args, first, count in self.steps:
            for k in range(count):
                number[first + k] = len(number)
            program.steps.append((name, {k: number[n] for k, n in operands.items()}, args))
            program.counts.append(count)
        made = [n for _, _, _, first, count in self.steps for n in range(first, first + count)]
        ends = [n for n in made if n not in self.used and self.values[n].is_floating_point()]
        if not ends:
            raise Rejected("nothing to make a loss of")
        program.loss = [(number[n], self.weights(self.values[n])) for n in ends]
        program.directions = [self.weights(x) if x.is_floating_point() else None for x in program.inputs]
        return program

    def weights(self, x):
        data = [round(self.rng.uniform(-1, 1), 2) for _ in range(x.numel())]
        return torch.tensor(data, dtype=torch.float64).reshape(x.shape)
