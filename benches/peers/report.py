"""What compare.py measured, as docs/benchmarks.md and docs/benchmarks.svg."""

import enum
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

import linalg
import sparse
from peers import DTYPES, SIZES

DOCS, PLOT = Path("docs/benchmarks.md"), Path("docs/benchmarks.svg")


class Part(enum.Enum):
    """What is measured in one run, and stands between its own marks in the document."""

    GRADIENTS = "measured"
    LINALG = "linear algebra"
    SPARSE = "sparse products"

    @property
    def flag(self) -> str:
        return {Part.GRADIENTS: "", Part.LINALG: "linalg", Part.SPARSE: "sparse"}[self]

    def holds(self, id: str) -> bool:
        group = id.split("/")[0]
        return group == self.flag if self.flag else group not in {part.flag for part in Part}

    @property
    def marks(self) -> tuple[str, str]:
        return f"<!-- {self.value}: begin -->", f"<!-- {self.value}: end -->"


# Label, colour of Okabe and Ito's palette (grey for its yellow), marker, line style.
STYLES = {
    "by_hand": ("tapegrad, by hand", "#000000", "o", "-"),
    "composed": ("tapegrad, composed", "#D55E00", "s", "-"),
    "fused": ("tapegrad, fused", "#0072B2", "^", "-"),
    "numpy": ("NumPy", "#009E73", "D", "--"),
    "numpy_pitfall": ("NumPy, pitfall", "#999999", "x", ":"),
    "torch": ("PyTorch", "#CC79A7", "v", "--"),
    "autograd": ("HIPS autograd", "#E69F00", "P", "--"),
    "jax": ("JAX, jitted", "#56B4E9", "*", "--"),
}
INTRODUCTION = """# Benchmarks

The gradient of ‖y − Ax‖² with respect to x, for A of 10 d rows and d columns, and chains of small
operations, in which the engine's own cost shows. By hand, composed and fused are tapegrad's; the
pitfall is −2 Aᵀy + 2 (AᵀA) x as it reads, which multiplies two matrices. The peers run on the CPU
with their default threads. From the root of the repository:

    pip install -r benches/peers/requirements.txt
    python benches/peers/compare.py
    python benches/peers/compare.py --linalg

A machine's speed drifts within minutes, so each round runs, size by size, the Rust bench and the
peers next to one another (every second round the peers first), and each ratio is formed within a
round. Times and ratios are medians over the rounds; the spread is the least and greatest ratio.
A run beside which other processes took over a tenth of a core is made again, and left out if that
goes on: libraries whose threads wait for one another suffer from it far more than others.

<!-- measured: begin -->
<!-- measured: end -->

<!-- linear algebra: begin -->
<!-- linear algebra: end -->

<!-- sparse products: begin -->
<!-- sparse products: end -->
"""

Seconds = dict[str, float]


class Target(NamedTuple):
    id: str
    ours: str
    peer: str
    limit: float


class Results(NamedTuple):
    rounds: dict[str, list[Seconds]]
    facts: list[str]

    def median(self, id: str, contestant: str) -> float | None:
        times = [r[contestant] for r in self.rounds.get(id, []) if contestant in r]
        return statistics.median(times) if times else None

    def ratios(self, target: Target) -> list[float]:
        both = {target.ours, target.peer}
        rounds = [r for r in self.rounds.get(target.id, []) if both <= r.keys()]
        return [r[target.ours] / r[target.peer] for r in rounds]


def targets() -> list[Target]:
    found = []
    for dtype in DTYPES:
        group = f"least_squares_gradient/{dtype}"
        for d, limit in ((3, 0.1), (10, 0.1), (30, 0.1), (100, 0.5)):
            found.append(Target(f"{group}/{d}", "composed", "torch", limit))
        found += [Target(f"{group}/{d}", "composed", "numpy", 1.0) for d in SIZES]
        found += [Target(f"{group}/1000", "fused", peer, 0.7) for peer in ("numpy", "torch")]
    engine = {"scalar_wxb": 0.03, "chain_1000_sin": 0.03, "chain_100_muladd_vec10": 0.04}
    found += [Target(f"engine/{n}", "tapegrad", "torch", e) for n, e in engine.items()]
    hessian, hvp = (f"derivatives/{name}_rosenbrock/200" for name in ("hessian", "hvp"))
    return [
        *found,
        Target(hessian, "tapegrad", "torch", 0.2),
        Target(hvp, "tapegrad", "torch", 0.2),
        Target(hvp, "tapegrad", "gradient", 4.0),
        *linalg_targets(),
        *(
            Target(f"sparse/{work}/{sparse.ROWS}", "tapegrad", peer, sparse.LIMIT)
            for work in sparse.WORKS
            for peer in ("scipy", "torch")
        ),
    ]


def linalg_targets() -> Iterator[Target]:
    for op, shape in linalg.works():
        for dtype in DTYPES:
            for what in ("forward", "gradient"):
                id = f"linalg/{op}/{dtype}/{what}/{linalg.size(shape)}"
                yield Target(id, "tapegrad", "torch", linalg.limit(op, shape))


def readable(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    scale, unit = next(
        ((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if seconds * s >= 0.9995),
        (1e9, "ns"),
    )
    value = seconds * scale
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


def table(head: list[str], rows: list[list[str]]) -> str:
    rule = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))


def target_row(target: Target, ratios: list[float]) -> list[str]:
    names, limit = f"{target.ours} / {target.peer}", f"≤ {target.limit}"
    if not ratios:
        return [target.id, names, "–", "–", limit, "not measured"]
    ratio = statistics.median(ratios)
    way = "met" if ratio <= target.limit else "missed"
    distance = f"{abs(ratio / target.limit - 1):.0%} {'under' if way == 'met' else 'over'}"
    spread = f"{min(ratios):.3g} to {max(ratios):.3g}"
    return [target.id, names, f"{ratio:.3g}", spread, limit, f"{way}, {distance}"]


def section(title: str, group: str, contestants: dict[str, str], results: Results) -> list[str]:
    """A heading and a table with a row for each id of the group; nothing where there is none."""
    rows = [
        [id.removeprefix(group), *(readable(results.median(id, c)) for c in contestants)]
        for id in results.rounds
        if id.startswith(group)
    ]
    return [f"## {title}", table(["", *contestants.values()], rows)] if rows else []


def report(results: Results) -> str:
    parts = ["\n".join(f"- {fact}" for fact in results.facts)]
    for dtype in DTYPES:
        ids = {d: f"least_squares_gradient/{dtype}/{d}" for d in SIZES}
        rows = [
            [str(d), *(readable(results.median(id, contestant)) for contestant in STYLES)]
            for d, id in ids.items()
            if id in results.rounds
        ]
        head = ["d", *(label.removeprefix("tapegrad, ") for label, *_ in STYLES.values())]
        parts += [f"## Least squares gradient, {dtype}", table(head, rows)] if rows else []
    engine = {"tapegrad": "tapegrad", "torch": "PyTorch", "autograd": "HIPS autograd"}
    parts += section("Engine", "engine/", engine, results)
    derivatives = {
        "tapegrad": "tapegrad",
        "gradient": "one gradient of tapegrad's",
        "torch": "PyTorch",
        "torch_vectorized": "PyTorch, vectorize=True",
    }
    parts += section("Second derivatives", "derivatives/", derivatives, results)
    linear = {"tapegrad": "tapegrad", "torch": "PyTorch"}
    parts += section("Times of linear algebra", "linalg/", linear, results)
    products = {"tapegrad": "tapegrad", "scipy": "SciPy", "torch": "PyTorch"}
    parts += section("Times of sparse products", "sparse/", products, results)
    met = [target_row(t, results.ratios(t)) for t in targets() if t.id in results.rounds]
    head = ["work", "ratio of times", "median", "spread", "target", "verdict"]
    return "\n\n".join([*parts, "## Ratios against the targets", table(head, met)])


def plot(results: Results) -> None:
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tapegrad"})
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for dtype, axes in zip(DTYPES, panels, strict=True):
        for contestant, (label, colour, marker, line) in STYLES.items():
            group = f"least_squares_gradient/{dtype}"
            # None, where a contestant was not measured, leaves a gap.
            medians = [results.median(f"{group}/{d}", contestant) for d in SIZES]
            axes.loglog(SIZES, medians, line, color=colour, marker=marker, label=label)
        axes.set_title(f"Gradient of ‖y − Ax‖², {dtype}")
        axes.set_xlabel("d (A has 10 d rows and d columns)")
        axes.set_xticks(SIZES, map(str, SIZES))
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(EngFormatter(unit="s"))
        axes.grid(color="#dddddd")
    panels[0].set_ylabel("time per gradient")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(PLOT, metadata={"Date": None})


def write_docs(results: Results, part: Part) -> None:
    """Replaces what stands between the marks of the part, and keeps the rest as it is."""
    DOCS.parent.mkdir(exist_ok=True)
    begin, end = part.marks
    before, _, rest = (DOCS.read_text() if DOCS.exists() else INTRODUCTION).partition(begin)
    after = rest.partition(end)[2]
    text = report(results)
    if part is Part.GRADIENTS:
        text = f"![Time of the gradient against d]({PLOT.name})\n\n{text}"
        plot(results)
    DOCS.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
