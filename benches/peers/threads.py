"""Runs each row of elementwise and reduce on one thread and on two in turn, and writes docs/benchmarks-threads.md.

From the root of the repository: python benches/peers/threads.py
"""

import argparse
import os
import re
import statistics
from pathlib import Path

from compare import Side, built, facts_of_machine
from report import table

DOCS = Path("docs/benchmarks-threads.md")
SIZES = (10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000)
# What is read of a row on a busy machine: a tenth more is a difference.
BEHIND = 1.1
TEXT = """# One thread and two

From the root of the repository: `python benches/peers/threads.py`

The time on two threads over that on one, forward: the medians over the rounds of the ratios within a round, in
which both are measured one after another. **Bold**: over {behind}, which is more than such rows differ by when nothing
was changed. How work is shared is in [architecture.md](architecture.md), from which times on in `cpu/parallel.rs`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--filter", type=re.compile, default=re.compile(""), help="regex on the ids; prints")
    options = parser.parse_args()
    arguments = ("--serve", "--seconds=0.02", f"--sizes={','.join(map(str, SIZES))}")
    paths = built(("elementwise", "reduce")).values()
    facts = facts_of_machine()
    ratios: dict[tuple[str, str], dict[int, float]] = {}
    for path in paths:
        sides = [Side(path, *arguments, RAYON_NUM_THREADS=str(threads)) for threads in (1, 2)]
        for peer, id in sides[0].rows():
            _, name, dtype, what, n = id.split("/")
            if what != "forward" or int(n) not in SIZES or not options.filter.search(id):
                continue
            found = []
            for number in range(options.rounds):
                order = (0, 1) if number % 2 == 0 else (1, 0)
                times = {k: sides[k].seconds(f"{peer} {id}") for k in order}
                found.append(times[1] / times[0])
            ratios.setdefault((name, dtype), {})[int(n)] = statistics.median(found)
        for side in sides:
            side.stop()
    shown = lambda r: "–" if r is None else f"**{r:.2f}**" if r > BEHIND else f"{r:.2f}"  # noqa: E731
    rows = [[*row, *(shown(of.get(n)) for n in SIZES)] for row, of in ratios.items()]
    every = [r for of in ratios.values() for r in of.values()]
    behind = sum(r > BEHIND for r in every)
    facts += [f"Cores: {os.cpu_count()}", f"Method: {options.rounds} rounds, 0.02 s per measurement"]
    text = "\n".join([
        TEXT.format(behind=BEHIND),
        *(f"- {fact}" for fact in facts),
        f"\n{behind} of {len(every)} are over {BEHIND}, the greatest is {max(every):.2f}; the median is "
        f"{statistics.median(every):.2f}.\n",
        table(["work", "type", *(f"{n:,}" for n in SIZES)], rows),
    ])
    if options.filter.pattern:
        print(text)
    else:
        DOCS.write_text(text + "\n")


if __name__ == "__main__":
    main()
