"""Runs the Rust benches and their Python peers in turn and writes docs/benchmarks.{md,svg}.

From the root of the repository: python benches/peers/compare.py
"""

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from peers import benchmarks
from report import DOCS, PLOT, Part, Results, Seconds, text_of, write_docs

Header = dict[str, Any]

PEERS = Path(__file__).with_name("peers.py")
RAW = Path(os.environ.get("CARGO_TARGET_DIR", "target")) / "benchmarks.json"
BENCHES = {
    "least_squares_gradient": "least_squares",
    "engine": "engine",
    "derivatives": "derivatives",
    "linalg": "linalg",
    "sparse": "sparse",
}
# A run beside which other processes took more than this part of a core does not count:
# BLAS threads that wait for a core taken away slow NumPy down up to a hundredfold.
MOST_DISTURBED = 0.1
TRIES = 5
TRY_AGAIN_SECONDS = 5
# Rows take tenths of seconds, and are many.
ROW_TRIES = 3
ROW_AGAIN_SECONDS = 0.5
ROW_SECONDS = 0.08
THREADS = 2


def output(*command: str | Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def measure_rust(ids: list[str], seconds: float) -> tuple[Header, dict[str, Seconds]]:
    """The median times of every contestant, by id; the ids are of one bench."""
    heads = {id: id.rpartition("/")[::2] for id in ids}
    # A contestant's name may stand before the last part of an id.
    pattern = "|".join(f"^{head}(/[^/]+)?/{name}$" for head, name in heads.values())
    arguments = f"--noplot --nresamples 2000 --warm-up-time {seconds / 4}".split()
    arguments += ["--measurement-time", str(seconds), pattern]
    bench = ("cargo", "bench", "-q", "--bench", BENCHES[ids[0].split("/")[0]], "--")
    times: dict[str, Seconds] = {id: {} for id in ids}
    # A folder of its own keeps results of earlier runs out.
    with tempfile.TemporaryDirectory() as folder:
        output(*bench, *arguments, CRITERION_HOME=folder)
        for found in Path(folder).glob("**/new/benchmark.json"):
            full_id = json.loads(found.read_text())["full_id"]
            estimates = json.loads(found.with_name("estimates.json").read_text())
            for id, (head, name) in heads.items():
                if full_id == id or full_id.startswith(f"{head}/") and full_id.endswith(f"/{name}"):
                    contestant = full_id.removeprefix(head).removesuffix(name).strip("/") or "tapegrad"
                    times[id][contestant] = estimates["median"]["point_estimate"] * 1e-9
    if missing := [id for id in ids if not times[id]]:
        sys.exit(f"no Rust bench has the ids {missing}")
    return {}, times


def measure_peers(ids: list[str], seconds: float) -> tuple[Header, dict[str, Seconds]]:
    pattern = "|".join(f"^{id}$" for id in ids)
    command = (sys.executable, PEERS, "--filter", pattern, "--seconds", str(seconds))
    header, *lines = map(json.loads, output(*command).splitlines())
    times: dict[str, Seconds] = {id: {} for id in ids}
    for line in lines:
        times[line["id"]][line["peer"]] = line["seconds"]
    return header, times


def busy_seconds_of_others() -> float:
    """CPU time so far, stolen time included, that neither we nor our children spent."""
    with open("/proc/stat", encoding="utf-8") as lines:
        user, nice, system, _, _, irq, softirq, steal = map(int, next(lines).split()[1:9])
    busy = (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
    return busy - sum(os.times()[:4])


def undisturbed(
    measure: Callable[[], tuple[Header, dict[str, Seconds]]],
) -> tuple[Header, dict[str, Seconds]]:
    """The first try beside which others left the cores alone; without times if there is none."""
    for _ in range(TRIES):
        others, start = busy_seconds_of_others(), time.perf_counter()
        header, times = measure()
        taken = (busy_seconds_of_others() - others) / (time.perf_counter() - start)
        if taken <= MOST_DISTURBED:
            return header, times
        print(f"again: other processes took {taken:.0%} of a core", file=sys.stderr)
        time.sleep(TRY_AGAIN_SECONDS)
    return header, {}


def groups(ids: list[str]) -> list[list[str]]:
    """What is measured in one process: each id on its own, but of linear algebra all sizes of an operation."""
    key = lambda id: "/".join(id.split("/")[:3]) if Part.LINALG.holds(id) else id  # noqa: E731
    found: dict[str, list[str]] = {}
    for id in ids:
        found.setdefault(key(id), []).append(id)
    return list(found.values())


def measure_all(ids: list[str], rounds: int, seconds: float) -> Results:
    output("cargo", "bench", "--no-run", *(f"--bench={bench}" for bench in BENCHES.values()))
    facts = facts_of_machine()  # of before: the commit may change while this runs
    found: dict[str, list[Seconds]] = {id: [{} for _ in range(rounds)] for id in ids}
    header: Header = {}
    left_out = 0
    for number in range(rounds):
        for group in groups(ids):
            sides = [measure_rust, measure_peers]
            for side in sides if number % 2 == 0 else reversed(sides):
                told, times = undisturbed(partial(side, group, seconds))
                header |= told
                for id in group:
                    found[id][number] |= times.get(id, {})
                left_out += not times
            print(f"round {number + 1}/{rounds} {group[0]}", file=sys.stderr)
    runs = 2 * rounds * len(groups(ids))
    method = f"{rounds} rounds, {seconds} s per measurement; {left_out} of {runs} runs left out"
    return Results(found, [*facts_of_peers(header), *facts, f"Method: {method}"])


class Side:
    """A program that measures rows as they are asked for."""

    def __init__(self, *command: str | Path) -> None:
        # Their own numbers of threads stand over the affinity's.
        env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
        self.command = " ".join(map(str, command))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=env)
        self.header: Header = self.answer()

    def answer(self) -> Any:
        if line := self.process.stdout.readline():
            return json.loads(line)
        sys.exit(f"{self.command} ended with {self.process.wait()}")

    def seconds(self, what: str) -> float | None:
        """The median time; None if it is too slow."""
        self.process.stdin.write(f"{what}\n")
        line = self.answer()
        return line["seconds"] if line else None

    def busy_seconds(self) -> float:
        # The name of the program, in parentheses, may hold spaces.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def built(benches: set[str]) -> dict[str, str]:
    """The programs of these benches."""
    arguments = (f"--bench={bench}" for bench in sorted(benches))
    lines = output("cargo", "bench", "--no-run", "--message-format=json", *arguments).splitlines()
    told = (json.loads(line) for line in lines if line.startswith("{"))
    found = {line["target"]["name"]: line["executable"] for line in told if line.get("executable")}
    return {bench: found[bench] for bench in benches}


def measure_rows(ids: list[str], rounds: int, seconds: float, tries: int) -> Results:
    """The sides take turns row by row, as programs that go on: Python's libraries take seconds to load."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])  # the sides inherit it
    programs = built(Part.ELEMENTWISE.groups)
    facts = facts_of_machine()  # of before: the commit may change while this runs
    peers_of: dict[str, list[str]] = {}
    for benchmark in benchmarks():
        if Part.ELEMENTWISE.holds(benchmark.id):
            peers_of.setdefault(benchmark.id, []).append(benchmark.peer)
    found: dict[str, list[Seconds]] = {id: [{} for _ in range(rounds)] for id in ids}
    pattern = "|".join(f"^{group}/" for group in sorted(programs))
    disturbed = 0
    for number in range(rounds):
        arguments = ("--serve", f"--seconds={seconds}")
        sides = {bench: Side(path, *arguments) for bench, path in programs.items()}
        peers = sides["peers"] = Side(sys.executable, PEERS, f"--filter={pattern}", *arguments)
        ours = {id for bench in programs for id in sides[bench].header["ids"]}
        if missing := ours ^ peers_of.keys():
            sys.exit(f"rows that one side lacks: {sorted(missing)}")

        def busy_others() -> float:
            return busy_seconds_of_others() - sum(side.busy_seconds() for side in sides.values())

        for id in ids:
            asked = {"tapegrad": (sides[id.split("/")[0]], id)}
            asked |= {peer: (peers, f"{peer} {id}") for peer in peers_of[id]}
            order = list(asked) if number % 2 == 0 else list(reversed(asked))
            best = float("inf")
            for again in range(tries):
                time.sleep(ROW_AGAIN_SECONDS if again else 0)
                others, start = busy_others(), time.perf_counter()
                times = {name: asked[name][0].seconds(asked[name][1]) for name in order}
                taken = (busy_others() - others) / (time.perf_counter() - start)
                # A row is not left out: its least disturbed try counts, and the report says how many were.
                if taken < best:
                    best = taken
                    found[id][number] = {name: t for name, t in times.items() if t is not None}
                if taken <= MOST_DISTURBED:
                    break
            disturbed += best > MOST_DISTURBED
        for side in sides.values():
            side.stop()
        print(f"round {number + 1}/{rounds}", file=sys.stderr)
    method = f"{rounds} rounds, {seconds} s per measurement; {disturbed} of {rounds * len(ids)} rows beside "
    method += f"other processes that took over {MOST_DISTURBED:.0%} of a core, at the least of {tries} tries"
    return Results(found, [*facts_of_peers(peers.header), *facts, f"Method: {method}"])


def facts_of_machine() -> list[str]:
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / f).read_text().strip() for f in ("level", "type", "size"))
        caches.append(f"L{level} {kind.lower()} {size}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # A kernel's own name may follow the number: left out.
    kernel = re.match(r"[\d.]+", platform.release())
    package = tomllib.loads(Path("Cargo.toml").read_text())["package"]["name"]
    locked = {p["name"]: p for p in tomllib.loads(Path("Cargo.lock").read_text())["package"]}
    crates = (name.split()[0] for name in locked[package].get("dependencies", []))
    outputs = (f":!{path}" for path in (DOCS, PLOT))
    dirty = output("git", "status", "--porcelain", "--", ".", *outputs)
    commit = output("git", "rev-parse", "--short", "HEAD").strip()
    return [
        f"Caches: {', '.join(caches)}; memory: {memory:.0f} GiB",
        f"System: Linux {kernel[0] if kernel else ''}, {output('rustc', '-V').strip()}",
        "Crates: " + ", ".join(f"{name} {locked[name]['version']}" for name in crates),
        f"Commit: {commit}{' with changes' if dirty else ''}, {datetime.date.today()}",
    ]


def facts_of_peers(header: Header) -> list[str]:
    versions, threads = header["versions"], header["threads"]
    return [
        f"CPU: {header['cpu']}, {threads['cores']} cores",
        "Peers: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"Threads: PyTorch {threads.get('torch', '–')}, NumPy's BLAS {threads['numpy_blas']}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="short measurements, for a trial")
    for part in (Part.LINALG, Part.SPARSE, Part.ELEMENTWISE):
        parser.add_argument(f"--{part.flag}", action="store_true", help=f"{part.value}, and nothing else")
    parser.add_argument("--filter", default="", help="regex on the ids; prints, writes no docs")
    options = parser.parse_args()
    part = next((part for part in Part if part.flag and getattr(options, part.flag)), Part.GRADIENTS)
    ids = [id for id in dict.fromkeys(b.id for b in benchmarks()) if part.holds(id)]
    ids = [id for id in ids if re.search(options.filter, id)]
    if not ids:
        sys.exit("the filter leaves nothing to measure")
    if part is Part.ELEMENTWISE:
        seconds, tries = (ROW_SECONDS / 4, 1) if options.quick else (ROW_SECONDS, ROW_TRIES)
        results = measure_rows(ids, options.rounds, seconds, tries)
    else:
        results = measure_all(ids, options.rounds, 0.1 if options.quick else 1.0)
    RAW.parent.mkdir(parents=True, exist_ok=True)
    RAW.write_text(json.dumps(results._asdict(), indent=1))
    if options.filter:
        print(text_of(results, part))
    else:
        write_docs(results, part)


if __name__ == "__main__":
    main()
