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
    ELEMENTWISE = "elements and reductions"

    @property
    def flag(self) -> str:
        flags = {Part.LINALG: "linalg", Part.SPARSE: "sparse", Part.ELEMENTWISE: "elementwise"}
        return flags.get(self, "")

    @property
    def groups(self) -> set[str]:
        """What ids begin with; the gradients have all that no other part has."""
        return {self.flag, "reduce"} if self is Part.ELEMENTWISE else {self.flag}

    def holds(self, id: str) -> bool:
        group = id.split("/")[0]
        if self is Part.GRADIENTS:
            return not any(group in part.groups for part in Part)
        return group in self.groups

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

<!-- elements and reductions: begin -->
<!-- elements and reductions: end -->
"""
# Written with the results, so that the section needs nothing but its marks.
ELEMENTWISE = """## Elements and reductions

Arithmetic, functions of elements, reductions, softmax, scans, places, sorting and copies beside NumPy and
PyTorch on the CPU, and a perceptron on 128 images with its loss. This command measures them and writes this
section; with `--filter` it measures some rows, and prints the section:

    python benches/peers/compare.py --elementwise

x is a vector of n elements, s and m are square matrices of n; rows of a length are as many as n elements fill,
and columns are those of rows of 100. A gradient is the value and the gradient of its sum, with respect to every
operand. All have two threads, where they use them; what is a view is copied on all sides. NumPy is measured
where it has the operation, and has no gradients; its `sort` returns no places, which the others do.

In each round the sides measure each row one after another, in an order that is turned round every second
round. A ratio is our time over the peer's in the same round: the columns have the medians of these. The spread
is the least and greatest ratio to the peer with the smaller median time. Behind are the types for which the
median ratio to that peer is above 1, in bold where it is in every round."""

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


def row_of(id: str) -> tuple[str, str, int]:
    """The name of the row that an id stands in, its dtype and its size."""
    _, name, dtype, what, n = id.split("/")
    return name if what == "forward" else f"{name}, gradient", dtype, int(n)


def better_peer(results: Results, id: str) -> str | None:
    """The one with the smaller median time."""
    times = {peer: results.median(id, peer) for peer in ("numpy", "torch")}
    return min((peer for peer in times if times[peer]), key=lambda peer: times[peer], default=None)


def to_better(results: Results, id: str) -> list[float]:
    """The ratios of our time to that of the better peer, of every round."""
    peer = better_peer(results, id)
    return results.ratios(Target(id, "tapegrad", peer, 1.0)) if peer else []


def ratio_cells(results: Results, id: str) -> list[str]:
    ratios = [results.ratios(Target(id, "tapegrad", peer, 1.0)) for peer in ("numpy", "torch")]
    spread = to_better(results, id)
    medians = [f"{statistics.median(r):.2f}" if r else "–" for r in ratios]
    return [*medians, f"{min(spread):.2f} to {max(spread):.2f}" if spread else "–"]


def behind(results: Results, id: str) -> bool:
    ratios = to_better(results, id)
    return bool(ratios) and statistics.median(ratios) > 1


def behind_cell(results: Results, ids: dict[str, str]) -> str:
    """The dtypes for which a row is behind."""
    told = {dtype: id for dtype, id in ids.items() if behind(results, id)}
    return ", ".join(f"**{d}**" if min(to_better(results, id)) > 1 else d for d, id in told.items())


def elementwise_report(results: Results) -> str:
    sizes: dict[int, dict[str, dict[str, str]]] = {}
    for id in results.rounds:
        name, dtype, n = row_of(id)
        sizes.setdefault(n, {}).setdefault(name, {})[dtype] = id
    counts = []
    for n, rows in sizes.items():
        ids = [id for of_dtype in rows.values() for id in of_dtype.values() if to_better(results, id)]
        counts.append(f"{sum(behind(results, id) for id in ids)} of {len(ids)} at n = {n:,}")
    facts = [*results.facts, f"Behind the better peer, each type counted: {', '.join(counts)}"]
    parts = [ELEMENTWISE, "\n".join(f"- {fact}" for fact in facts)]
    ratios = [cell for d in DTYPES for cell in (f"{d} / NumPy", f"{d} / PyTorch", f"{d} spread")]
    times = [f"{d} {side}" for d in DTYPES for side in ("tapegrad", "NumPy", "PyTorch")]
    for n, rows in sizes.items():
        lines = []
        for name, of in rows.items():
            cells = (cell for d in DTYPES for cell in ratio_cells(results, of.get(d, "")))
            lines.append([name, *cells, behind_cell(results, of)])
        parts += [f"### Ratios, n = {n:,}", table([f"n = {n:,}", *ratios, "behind"], lines)]
    for n, rows in sizes.items():
        sides = [(d, side) for d in DTYPES for side in ("tapegrad", "numpy", "torch")]
        lines = [
            [name, *(readable(results.median(of.get(d, ""), side)) for d, side in sides)]
            for name, of in rows.items()
        ]
        parts += [f"### Times, n = {n:,}", table([f"n = {n:,}", *times], lines)]
    return "\n\n".join(parts)


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


def text_of(results: Results, part: Part) -> str:
    return elementwise_report(results) if part is Part.ELEMENTWISE else report(results)


def write_docs(results: Results, part: Part) -> None:
    """Replaces what stands between the marks of the part, or adds it at the end; keeps the rest as it is."""
    DOCS.parent.mkdir(exist_ok=True)
    begin, end = part.marks
    before, found, rest = (DOCS.read_text() if DOCS.exists() else INTRODUCTION).partition(begin)
    after = rest.partition(end)[2] if found else "\n"
    if not found:
        before = before.rstrip("\n") + "\n\n"
    text = text_of(results, part)
    if part is Part.GRADIENTS:
        text = f"![Time of the gradient against d]({PLOT.name})\n\n{text}"
        plot(results)
    DOCS.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
