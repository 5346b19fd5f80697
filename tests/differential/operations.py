"""The operations of the library: each by its name in tests/conformance_ops, what it is in PyTorch, how a step of it is
made, and where it has a kink."""

import importlib
from collections import namedtuple

# `propose(builder)` gives the operands' numbers and the arguments; `reference(operands, arguments)` the outputs;
# `guard(operands, arguments)` is false where the answer is not well determined.
Operation = namedtuple("Operation", "propose reference guard")
OPERATIONS = {}


def define(name, propose, reference, guard=None):
    assert name not in OPERATIONS, name
    OPERATIONS[name] = Operation(propose, reference, guard)


def load():
    """All of them."""
    subjects = "elementwise reductions shapes products factorisations general sparse counting losses"
    for subject in subjects.split():
        importlib.import_module(subject)
    return OPERATIONS
