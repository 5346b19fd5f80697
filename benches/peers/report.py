"""What compare.py measured, as docs/benchmarks.md with its plot and its appendices."""

import enum
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure

import linalg
import sparse
from peers import DTYPES, ROW_SIZES

DOCS, TIMES = Path("docs/benchmarks.md"), Path("docs/benchmarks-times.md")
LINALG, PLOT = Path("docs/benchmarks-linalg.md"), Path("docs/benchmarks.svg")
WRITTEN = (DOCS, TIMES, LINALG, PLOT)


class Part(enum.Enum):
    """What is measured in one run."""

    SUITE = "suite"
    LINALG = "linalg"
    SPARSE = "sparse"

    @property
    def title(self) -> str:
        titles = {Part.LINALG: "linear algebra", Part.SPARSE: "sparse products"}
        return titles.get(self, "elements, reductions, the engine and derivatives")

    @property
    def groups(self) -> tuple[str, ...]:
        """The benches, with whose names ids begin."""
        suite = ("elementwise", "reduce", "engine", "derivatives", "least_squares")
        return suite if self is Part.SUITE else (self.value,)

    def holds(self, id: str) -> bool:
        return id.split("/")[0] in self.groups


NAMES = {
    "tapegrad": "tapegrad",
    "numpy": "NumPy",
    "numpy_pitfall": "NumPy, pitfall",
    "torch": "PyTorch",
    "torch_vectorized": "PyTorch, vectorize=True",
    "jax": "JAX, jitted",
    "autograd": "HIPS autograd",
    "candle": "candle",
    "burn": "burn, flex",
    "burn_ndarray": "burn, ndarray",
}
Peers = tuple[str, ...]
BETTER: Peers = ("numpy", "torch")
CANDLE: Peers = ("candle",)
BURN: Peers = ("burn", "burn_ndarray")
RUST_LIMIT = 0.7
# Works that are not elements and reductions of a size, with their bounds: the peers and the limit.
OTHERS: dict[str, list[tuple[Peers, float]]] = {
    r"elementwise/perceptron ": [(("torch",), 0.7)],
    r"derivatives/Rosenbrock/.*/1000$": [(("torch",), 0.1), (("jax",), 0.6)],
    r"least_squares/least squares/.*/(100|300|1000)$": [(("numpy",), 1.0)],
    r"engine/w x \+ b/": [(("torch",), 0.01)],
    r"engine/1000 sin/": [(("torch",), 0.02)],
    r"engine/100 multiply-adds/": [(("torch",), 0.035)],
}
ARITHMETIC = ("x * 2.5", "x + y", "m + row", "m + column", "s + s.t()")
# Families of the rest: what an id begins with, the limit forward and that with the gradient.
FAMILIES: dict[str, tuple[str, float, float]] = {
    "copies": (r"elementwise/(cat |.* copied/)", 1.0, 1.0),
    "arithmetic": (r"elementwise/(" + "|".join(map(re.escape, ARITHMETIC)) + ")/", 0.9, 0.9),
    "functions": (r"elementwise/", 0.8, 0.7),
    "softmax and its like": (r"reduce/(softmax|log_softmax|logsumexp|cross_entropy)", 0.8, 0.8),
    "scans, places, sorting": (r"reduce/(cumsum|gather|index_select|scatter_add|sort)", 1.0, 1.0),
    "reductions": (r"reduce/", 0.9, 0.9),
}
SMALL_ARITHMETIC = 0.5
# Colours of Okabe and Ito's palette.
COLOURS = {"f64": "#0072B2", "f32": "#D55E00"}
LEGEND = f"""A ratio is this library's time over a peer's, in the same round; the tables have the medians of the rounds,
and [the appendix](benchmarks-times.md) the times, and the least and greatest ratio of each row.
f64 and f32, forward and with the gradient of the sum with respect to every operand, are to the better of NumPy
and PyTorch, which is the one with the smaller median. The columns JAX, candle and burn have the greatest of
these up to four ratios to that library; burn is the better of its two backends, flex and ndarray.
**Bold**: behind, above 1. †: over the bound, which for candle and burn is {RUST_LIMIT}. Where rows are counted,
each type, and forward and gradient, are rows of their own.

x is a vector of n elements, s and m are square matrices of n; rows of a length are as many as n elements fill,
and columns are those of rows of 100."""
TIMES_TEXT = """Times are medians over the rounds. The ratio is that of [benchmarks.md](benchmarks.md) to the better of NumPy
and PyTorch, with the least and greatest over the rounds. A dash stands where a library has no such operation, or one
call took over two seconds. `sort` returns values alone in NumPy and JAX, and the places too in the others."""

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

    def to_better(self, id: str, peers: Peers) -> list[float]:
        """The ratios of every round to the peer with the smaller median time; none where none was measured."""
        times = {peer: self.median(id, peer) for peer in peers}
        peer = min((peer for peer in times if times[peer]), key=lambda peer: times[peer], default=None)
        return self.ratios(Target(id, "tapegrad", peer, 1.0)) if peer else []


def targets() -> Iterator[Target]:
    """Those of linear algebra and of sparse products."""
    for op, shape in linalg.works():
        for dtype in DTYPES:
            for what in ("forward", "gradient"):
                id = f"linalg/{op}/{dtype}/{what}/{linalg.size(shape)}"
                yield Target(id, "tapegrad", "torch", linalg.limit(op, shape))
    for work in sparse.WORKS:
        for peer in ("scipy", "torch"):
            yield Target(f"sparse/{work}/{sparse.ROWS}", "tapegrad", peer, sparse.LIMIT)


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


def report(results: Results, part: Part) -> str:
    """Facts, times and ratios of linear algebra or sparse products."""
    peers = {Part.LINALG: {"torch": "PyTorch"}, Part.SPARSE: {"scipy": "SciPy", "torch": "PyTorch"}}[part]
    sides = {"tapegrad": "tapegrad", **peers}
    times = [
        [id.removeprefix(f"{part.value}/"), *(readable(results.median(id, side)) for side in sides)]
        for id in results.rounds
    ]
    met = [target_row(t, results.ratios(t)) for t in targets() if t.id in results.rounds]
    head = ["work", "ratio of times", "median", "spread", "target", "verdict"]
    return "\n\n".join(
        [
            facts_of(results),
            f"### Times of {part.title}",
            table(["", *sides.values()], times),
            "### Ratios against the targets",
            table(head, met),
        ]
    )


def facts_of(results: Results) -> str:
    return "\n".join(f"- {fact}" for fact in results.facts)


def parts_of(id: str) -> tuple[str, str, str, int]:
    """The work, the dtype, what of it is measured, and the size."""
    _, name, dtype, what, n = id.split("/")
    return name, dtype, what, int(n)


def is_other(id: str) -> bool:
    return not Part.SUITE.holds(id) or "perceptron" in id or id.split("/")[0] not in ("elementwise", "reduce")


def family(id: str) -> tuple[str, float, float]:
    name, (_, *limits) = next((name, of) for name, of in FAMILIES.items() if re.match(of[0], id))
    return (name, *limits)


def limits(id: str) -> list[tuple[Peers, float]]:
    """The bounds of a row that are not those of candle and burn."""
    if is_other(id):
        return next((bounds for pattern, bounds in OTHERS.items() if re.match(pattern, id)), [])
    name, forward, gradient = family(id)
    if name == "arithmetic" and parts_of(id)[3] == ROW_SIZES[0]:
        return [(BETTER, SMALL_ARITHMETIC)]
    return [(BETTER, gradient if parts_of(id)[2] == "gradient" else forward)]


def bounds(id: str) -> list[tuple[Peers, float]]:
    return [*limits(id), (CANDLE, RUST_LIMIT), (BURN, RUST_LIMIT)]


def ratio_cell(results: Results, ids: list[str], peers: Peers) -> str:
    """The greatest median ratio of these rows, with its marks."""
    found = [(statistics.median(r), id) for id in ids if (r := results.to_better(id, peers))]
    if not found:
        return "–"
    ratio = max(found)[0]
    # A bound may be to one of the peers alone, and a row may be over it where another has the greatest ratio.
    over = any(missed(results, id, peers) for _, id in found)
    text = f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"
    return f"{f'**{text}**' if ratio > 1 else text}{'†' if over else ''}"


def missed(results: Results, id: str, shown: Peers) -> bool:
    """Whether the row is over a bound to peers of these."""
    for peers, limit in bounds(id):
        ratios = results.to_better(id, peers) if set(peers) <= set(shown) else []
        if ratios and statistics.median(ratios) > limit:
            return True
    return False


def counts(results: Results, ids: list[str]) -> str:
    """For each peer, how many of these rows are behind it, and how many over their bounds."""
    lines = []
    names = {"the better of NumPy and PyTorch": BETTER, "JAX": ("jax",), "candle": CANDLE, "burn": BURN}
    for name, peers in names.items():
        medians = {id: statistics.median(r) for id in ids if (r := results.to_better(id, peers))}
        bound = [id for id in medians if any(set(of) <= set(peers) for of, _ in bounds(id))]
        text = f"- {name}: behind in {sum(m > 1 for m in medians.values())} of {len(medians)}"
        if bound:
            text += f", over the bound in {sum(missed(results, id, peers) for id in bound)} of {len(bound)}"
        lines += [text] if medians else []
    return "\n".join(lines)


def tables_of_sizes(results: Results) -> Iterator[str]:
    for n in ROW_SIZES:
        works: dict[str, dict[tuple[str, str], str]] = {}
        for id in results.rounds:
            name, dtype, what, size = parts_of(id)
            if size == n and not is_other(id):
                works.setdefault(name, {})[dtype, what] = id
        if not works:
            continue
        columns = [(dtype, what) for dtype in DTYPES for what in ("forward", "gradient")]
        lines = []
        for name, of in works.items():
            cells = [ratio_cell(results, [of[c]] if c in of else [], BETTER) for c in columns]
            bound = "; ".join(dict.fromkeys(f"{limit}" for id in of.values() for _, limit in limits(id)))
            others = [ratio_cell(results, list(of.values()), peers) for peers in (("jax",), CANDLE, BURN)]
            lines.append([name, *cells, bound, *others])
        ids = [id for of in works.values() for id in of.values()]
        yield f"## n = {n:,}"
        yield counts(results, ids)
        labels = [dtype if what == "forward" else f"{dtype}, gradient" for dtype, what in columns]
        yield table([f"n = {n:,}", *labels, "bound", "JAX", "candle", "burn"], lines)


def table_of_others(results: Results) -> Iterator[str]:
    ids = [id for id in results.rounds if is_other(id)]
    lines = []
    for id in ids:
        name, dtype, what, n = parts_of(id)
        bound = "; ".join(f"{limit} of {NAMES[peer]}" for (peer, *_), limit in limits(id))
        peers = (("numpy",), ("torch",), ("jax",), ("autograd",), CANDLE, BURN)
        cells = [ratio_cell(results, [id], p) for p in peers]
        lines.append([f"{name}, {what}" if "perceptron" in id else name, f"{n:,}", dtype, *cells, bound])
    if lines:
        yield "## The engine, derivatives and programs"
        yield counts(results, ids)
        head = ["work", "n", "type", "NumPy", "PyTorch", "JAX", "HIPS autograd", "candle", "burn", "bound"]
        yield table(head, lines)


def suite_report(results: Results) -> str:
    parts = [facts_of(results), LEGEND, *tables_of_sizes(results), *table_of_others(results)]
    return "\n\n".join(parts)


def times_report(results: Results) -> str:
    parts = [facts_of(results), TIMES_TEXT]
    for n in (*ROW_SIZES, None):
        ids = [id for id in results.rounds if is_other(id) == (n is None) and n in (None, parts_of(id)[3])]
        sides = [side for side in NAMES if any(results.median(id, side) for id in ids)]
        lines = []
        for id in ids:
            name, dtype, what, size = parts_of(id)
            ratios = results.to_better(id, BETTER)
            spread = (statistics.median(ratios), min(ratios), max(ratios)) if ratios else ()
            lines.append(
                [
                    f"{name}, gradient" if what == "gradient" and (n or "perceptron" in id) else name,
                    *([] if n else [f"{size:,}"]),
                    dtype,
                    *(readable(results.median(id, side)) for side in sides),
                    *([f"{ratio:.3g}" for ratio in spread] or ["–"] * 3),
                ]
            )
        if lines:
            head = ["work", *([] if n else ["n"]), "type", *(NAMES[side] for side in sides)]
            parts.append(f"## {f'n = {n:,}' if n else 'The engine, derivatives and programs'}")
            parts.append(table([*head, "ratio", "least", "greatest"], lines))
    return "\n\n".join(parts)


def plot(results: Results) -> None:
    """A dot for the ratio of each row to the better of NumPy and PyTorch, by size and family."""
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "tapegrad"})
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, len(ROW_SIZES), sharex=True, sharey=True)
    names = [f"{name}{end}" for name in FAMILIES for end in ("", ", gradient")]
    drawn: dict[int, dict[str, list[tuple[float, str]]]] = {n: {} for n in ROW_SIZES}
    for id in results.rounds:
        ratios = [] if is_other(id) else results.to_better(id, BETTER)
        if ratios:
            _, dtype, what, n = parts_of(id)
            name = family(id)[0] + ("" if what == "forward" else ", gradient")
            drawn[n].setdefault(name, []).append((statistics.median(ratios), dtype))
    names = [name for name in names if any(name in of for of in drawn.values())]
    for axes, (n, of) in zip(panels, drawn.items(), strict=True):
        for dtype, colour in COLOURS.items():
            # The types side by side, so that neither hides the other.
            shift = 0.15 if dtype == "f32" else -0.15
            dots = [(r, names.index(name) + shift) for name, all in of.items() for r, d in all if d == dtype]
            x, y = zip(*dots, strict=True) if dots else ((), ())
            axes.semilogx(x, y, "o", color=colour, alpha=0.6, markersize=4, label=dtype)
        axes.axvline(1.0, color="#000000", linewidth=1)
        axes.set_title(f"n = {n:,}")
        axes.grid(axis="x", color="#dddddd")
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    panels[0].xaxis.set_major_formatter("{x:g}")
    figure.supxlabel("time of tapegrad over that of the better of NumPy and PyTorch")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(PLOT, metadata={"Date": None})


def text_of(results: Results, part: Part) -> str:
    if part is Part.SUITE:
        return f"{suite_report(results)}\n\n{times_report(results)}"
    return report(results, part)


def write_docs(results: Results, part: Part) -> None:
    """Replaces what stands between the marks of the part; keeps the rest as it is."""
    if part is Part.SUITE:
        plot(results)
        picture = f"![Ratios of times by size and kind of work]({PLOT.name})"
        write(DOCS, "measured", f"{picture}\n\n{suite_report(results)}")
        write(TIMES, "measured", times_report(results))
    else:
        write(LINALG, part.title, report(results, part))


def write(path: Path, mark: str, text: str) -> None:
    begin, end = f"<!-- {mark}: begin -->", f"<!-- {mark}: end -->"
    before, found, rest = path.read_text().partition(begin)
    if not found or end not in rest:
        raise ValueError(f"{path} lacks the marks of {mark}")
    path.write_text(f"{before}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")
