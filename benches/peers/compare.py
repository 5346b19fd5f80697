"""Runs the benches and their peers in turn and writes docs/benchmarks.{md,svg} and its appendix, benchmarks-times.md.

From the root of the repository: python benches/peers/compare.py

With --linalg or --sparse it runs those benches instead, and writes their part of docs/benchmarks-linalg.md.
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
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from peers import benchmarks
from report import WRITTEN, Part, Results, Seconds, text_of, write_docs

Header = dict[str, Any]

PEERS = Path(__file__).with_name("peers.py")
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
# candle and burn, in a crate of their own.
RUST_PEERS = Path(__file__).with_name("rust") / "Cargo.toml"
# A run beside which other processes took more than this part of a core does not count:
# BLAS threads that wait for a core taken away slow NumPy down up to a hundredfold.
MOST_DISTURBED = 0.1
TRIES = 5
TRY_AGAIN_SECONDS = 5
# Rows take tenths of seconds, and are many.
ROW_TRIES = 3
ROW_AGAIN_SECONDS = 0.5
ROW_SECONDS = 0.04
ROWS_TOLD = 100
THREADS = 2


def output(*command: str | Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def measure_rust(ids: list[str], seconds: float) -> tuple[Header, dict[str, Seconds]]:
    """Our median times by id; the ids are of one bench."""
    pattern = "|".join(f"^{id}$" for id in ids)
    arguments = f"--bench --noplot --nresamples 2000 --warm-up-time {seconds / 4}".split()
    arguments += ["--measurement-time", str(seconds), pattern]
    bench = ids[0].split("/")[0]
    times: dict[str, Seconds] = {id: {} for id in ids}
    # A folder of its own keeps results of earlier runs out.
    with tempfile.TemporaryDirectory() as folder:
        output(built([bench])[bench], *arguments, CRITERION_HOME=folder)
        for found in Path(folder).glob("**/new/benchmark.json"):
            full_id = json.loads(found.read_text())["full_id"]
            estimates = json.loads(found.with_name("estimates.json").read_text())
            times[full_id]["tapegrad"] = estimates["median"]["point_estimate"] * 1e-9
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
    built(dict.fromkeys(id.split("/")[0] for id in ids))
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

    def __init__(self, *command: str | Path, **environment: str) -> None:
        # Their own numbers of threads stand over the affinity's.
        env = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")} | environment
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

    def rows(self) -> list[tuple[str, str]]:
        """The sides, by their names in the report, and the ids that the program has for them."""
        return [tuple(row.split(" ", 1)) for row in self.header["rows"]]

    def busy_seconds(self) -> float:
        # The name of the program, in parentheses, may hold spaces.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def built(benches: Iterable[str]) -> dict[str, str]:
    """The programs of these benches."""
    arguments = (f"--bench={bench}" for bench in benches)
    found = executables("build", "--release", *arguments)
    return {bench: found[bench] for bench in benches}


def executables(*arguments: str | Path) -> dict[str, str]:
    """What cargo builds, by name."""
    command, *rest = arguments
    lines = output("cargo", command, "--message-format=json", *rest).splitlines()
    told = (json.loads(line) for line in lines if line.startswith("{"))
    return {line["target"]["name"]: line["executable"] for line in told if line.get("executable")}


def programs(wanted: re.Pattern[str]) -> list[tuple[str | Path, ...]]:
    """The commands of the sides: our benches, NumPy, PyTorch and JAX, and candle and burn."""
    serve = ("--serve",)
    pattern = "|".join(f"^{group}/" for group in Part.SUITE.groups)
    found = [(path, *serve) for path in built(Part.SUITE.groups).values()]
    found.append((sys.executable, PEERS, f"--filter={pattern}", f"--peers={wanted.pattern}", *serve))
    if any(map(wanted.search, ("candle", "burn"))):
        built_peers = executables("build", "--release", "--manifest-path", RUST_PEERS)
        found.append((built_peers["tapegrad-peers"], *serve))
    return found


def measure_rows(options: argparse.Namespace, seconds: float, tries: int) -> Results:
    """The sides take turns row by row, as programs that go on: Python's libraries take seconds to load."""
    commands = programs(options.peers)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])  # the sides inherit it
    facts = facts_of_machine()  # of before: the commit may change while this runs
    found: dict[str, list[Seconds]] = {}
    header: Header = {}
    disturbed = 0
    begin = time.perf_counter()
    for number in range(options.rounds):
        sides = [Side(*command, f"--seconds={seconds}") for command in commands]
        asked: dict[str, dict[str, Side]] = {}
        for side in sides:
            header |= side.header
            for peer, id in side.rows():
                if options.filter.search(id) and (peer == "tapegrad" or options.peers.search(peer)):
                    asked.setdefault(id, {})[peer] = side
        if missing := [id for id, of in asked.items() if "tapegrad" not in of]:
            sys.exit(f"rows that no bench has: {missing}")

        def busy_others() -> float:
            return busy_seconds_of_others() - sum(side.busy_seconds() for side in sides)

        for row, (id, side_of) in enumerate(asked.items()):
            if row % ROWS_TOLD == 0:
                minutes = (time.perf_counter() - begin) / 60
                told = f"round {number + 1}/{options.rounds}, row {row}/{len(asked)}, {minutes:.1f} minutes"
                print(told, file=sys.stderr)
            order = list(side_of) if number % 2 == 0 else list(reversed(side_of))
            best = float("inf")
            measured: Seconds = {}
            for again in range(tries):
                time.sleep(ROW_AGAIN_SECONDS if again else 0)
                others, start = busy_others(), time.perf_counter()
                times = {peer: side_of[peer].seconds(f"{peer} {id}") for peer in order}
                taken = (busy_others() - others) / (time.perf_counter() - start)
                # A row is not left out: its least disturbed try counts, and the report says how many were.
                if taken < best:
                    best, measured = taken, {peer: t for peer, t in times.items() if t is not None}
                if taken <= MOST_DISTURBED:
                    break
            found.setdefault(id, []).append(measured)
            disturbed += best > MOST_DISTURBED
        for side in sides:
            side.stop()
    if not found:
        sys.exit("the filter leaves nothing to measure")
    method = f"{options.rounds} rounds, {seconds} s per measurement; {disturbed} of {options.rounds * len(found)} rows "
    method += f"beside other processes that took over {MOST_DISTURBED:.0%} of a core, at the least of {tries} tries"
    return Results(found, [*facts_of_peers(header), *facts, f"Method: {method}"])


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
    outputs = (f":!{path}" for path in WRITTEN)
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
    locked = tomllib.loads(RUST_PEERS.with_name("Cargo.lock").read_text())["package"]
    crates = {p["name"]: p["version"] for p in locked if p["name"] in ("candle-core", "burn-tensor")}
    return [
        f"CPU: {header['cpu']}, {threads['cores']} cores",
        "Peers: " + ", ".join(f"{name} {version}" for name, version in (versions | crates).items()),
        f"Threads: PyTorch {threads.get('torch', '–')}, NumPy's BLAS {threads['numpy_blas']}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="short measurements, for a trial")
    for part in (Part.LINALG, Part.SPARSE):
        parser.add_argument(f"--{part.value}", action="store_true", help=f"{part.title}, and nothing else")
    pattern = partial(parser.add_argument, type=re.compile, default=re.compile(""))
    pattern("--filter", help="regex on the ids; prints, and writes no docs")
    pattern("--peers", help="regex on the peers, as numpy|torch; prints, and writes no docs")
    parser.add_argument("--render", action="store_true", help="writes the docs from the last run's raw times")
    options = parser.parse_args()
    part = next((part for part in Part if getattr(options, part.value, False)), Part.SUITE)
    raw = TARGET / f"benchmarks-{part.value}.json"
    if options.render:
        results = Results(**json.loads(raw.read_text()))
    elif part is Part.SUITE:
        seconds, tries = (ROW_SECONDS / 2, 1) if options.quick else (ROW_SECONDS, ROW_TRIES)
        results = measure_rows(options, seconds, tries)
    else:
        ids = [id for id in dict.fromkeys(b.id for b in benchmarks()) if part.holds(id)]
        ids = [id for id in ids if options.filter.search(id)]
        if not ids:
            sys.exit("the filter leaves nothing to measure")
        results = measure_all(ids, options.rounds, 0.1 if options.quick else 1.0)
    if not options.render:
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text(json.dumps(results._asdict(), indent=1))
    if options.filter.pattern or options.peers.pattern:
        print(text_of(results, part))
    else:
        write_docs(results, part)


if __name__ == "__main__":
    main()
