"""Losses with their options."""

import torch
import torch.nn.functional as F

from domains import ANY, POSITIVE, SHARE, SMALL, away
from operations import define
from reductions import targeted

REDUCTIONS = ["mean", "sum", "none"]


def of_elements(name, function, target=ANY, kink=None, **numbers):
    define(
        name,
        lambda b: (targeted(b, target), {"reduction": b.rng.choice(REDUCTIONS), **numbers}),
        lambda x, a: function(x["input"], x["target"], **a),
        kink and (lambda x, a: away((x["input"] - x["target"]).abs(), kink)),
    )


of_elements("mse_loss_with", F.mse_loss)
of_elements("l1_loss_with", F.l1_loss, kink=0.0)
of_elements("huber_loss_with", F.huber_loss, kink=0.7, delta=0.7)
of_elements("smooth_l1_loss_with", F.smooth_l1_loss, kink=0.7, beta=0.7)
of_elements("kl_div", F.kl_div, POSITIVE)
of_elements("kl_div_log_target", lambda x, t, reduction: F.kl_div(x, t, reduction=reduction, log_target=True), SMALL)


def weighed(b):
    n = b.pick()
    shape = b.of(n).shape
    operands = {"input": n, "target": b.like(shape, SHARE)}
    for name in ("weight", "pos_weight"):
        if b.flag():
            operands[name] = b.like(shape, POSITIVE)
    return operands, {"reduction": b.rng.choice(REDUCTIONS)}


def by_definition(x, a):
    """PyTorch's has no gradient for its weights."""
    losses = -x.get("pos_weight", 1.0) * x["target"] * F.logsigmoid(x["input"])
    losses = (losses - (1 - x["target"]) * F.logsigmoid(-x["input"])) * x.get("weight", 1.0)
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[a["reduction"]]()


define("bce_with", weighed, by_definition)


def classified(b):
    n = b.pick(ANY, lambda x: x.dim() in (2, 3), lambda: [b.rng.randint(1, 4), b.rng.randint(2, 4)])
    rows, classes, *more = b.of(n).shape
    operands = {"input": n, "target": b.indices(classes, [rows, *more])}
    if b.flag():
        operands["weight"] = b.fresh([classes], POSITIVE)
    return operands, {"reduction": b.rng.choice(REDUCTIONS), "ignore_index": b.rng.choice([-100, 0])}


def picked(logarithms, x, a):
    """The losses at the classes; PyTorch has no gradient for weights."""
    losses = -logarithms.gather(1, x["target"].unsqueeze(1)).squeeze(1)
    weights = x["weight"][x["target"]] if "weight" in x else torch.ones_like(losses)
    weights = weights * (x["target"] != a["ignore_index"])
    spread = -logarithms.movedim(1, -1)
    if "weight" in x:
        spread = spread * x["weight"]
    spread = spread.mean(-1) * (x["target"] != a["ignore_index"])
    share = a.get("label_smoothing", 0.0)
    losses = (1 - share) * losses * weights + share * spread
    if a["reduction"] == "mean":
        return losses.sum() / weights.sum()
    return losses.sum() if a["reduction"] == "sum" else losses


define("nll_loss", classified, lambda x, a: picked(x["input"], x, a))
define(
    "cross_entropy_with",
    lambda b: (lambda x, a: (x, {**a, "label_smoothing": b.rng.choice([0.0, 0.2])}))(*classified(b)),
    lambda x, a: picked(x["input"].log_softmax(1), x, a),
)


def shared(b):
    n = b.pick(ANY, lambda x: x.dim() in (2, 3), lambda: [b.rng.randint(1, 4), b.rng.randint(2, 4)])
    operands = {"input": n, "target": b.like(b.of(n).shape, SHARE)}
    if b.flag():
        operands["weight"] = b.fresh([b.of(n).shape[1]], POSITIVE)
    return operands, {"reduction": b.rng.choice(REDUCTIONS), "label_smoothing": b.rng.choice([0.0, 0.2])}


def by_shares(x, a):
    """PyTorch has no gradient for weights."""
    share = a["label_smoothing"]
    target = x["target"] * (1 - share) + share / x["target"].shape[1]
    losses = -(target * x["input"].log_softmax(1)).movedim(1, -1)
    losses = (losses * x["weight"] if "weight" in x else losses).sum(-1)
    return {"mean": losses.mean, "sum": losses.sum, "none": lambda: losses}[a["reduction"]]()


define("cross_entropy_shares", shared, by_shares)
