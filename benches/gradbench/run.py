#!/usr/bin/env python3
"""Runs GradBench's evals with tapegrad and the tools beside it, and writes the table of docs/gradbench.md.

    cargo build --release -p tapegrad-gradbench
    benches/gradbench/run.py --gradbench DIR

DIR is a checkout of github.com/gradbench/gradbench with its C++ tools compiled (make -C cpp; make -C tools/manual all; make
-C tools/finite bin/particle bin/saddle). The Python that runs this needs numpy, scipy, pydantic, dataclasses-json, torch
and jax. Every process has one thread. Evals and their data, inputs and checks of answers are those of DIR.
"""

import argparse
import json
import os
import platform
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
ROOT = HERE.parents[2]

# What each eval calls value and derivative.
EVALS = {
    "hello": ("square", "double"),
    "llsq": ("primal", "gradient"),
    "lse": ("primal", "gradient"),
    "gmm": ("objective", "jacobian"),
    "kmeans": ("cost", "dir"),
    "det": ("primal", "gradient"),
    "ode": ("primal", "gradient"),
    "lstm": ("objective", "jacobian"),
    "ba": ("objective", "jacobian"),
    "ht": ("objective", "jacobian"),
    "particle": (None, None),
    "saddle": (None, None),
}

# Tools of the reference that have an eval.
SERVED = {
    "pytorch": {"hello", "lse", "gmm", "kmeans", "lstm", "ba", "ht"},
    "jax": {"hello", "llsq", "lse", "gmm", "kmeans", "ode"},
    "C++": set(EVALS),
}

# JAX's tool does not wait for what it has asked for: as it is, it would time the asking.
WAITING = """
import os, runpy, sys
import jax
from gradbench import wrap
repeated = wrap.multiple_runs
def waiting(**options):
    return lambda f: repeated(**options)(lambda x: jax.block_until_ready(f(x)))
wrap.multiple_runs = waiting
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""

NAMES = ["tapegrad", "pytorch", "jax", "C++"]


def command(tool, eval_name, args):
    tools = args.gradbench / "python/gradbench/gradbench"
    match tool:
        case "tapegrad":
            return [args.tapegrad]
        case "pytorch":
            return [sys.executable, tools / "tools/pytorch/run.py"]
        case "jax":
            return [sys.executable, "-c", WAITING, tools / "tools/jax/run.py"]
        case "C++":
            return [sys.executable, HERE, "--cpp", "finite" if eval_name in ("particle", "saddle") else "manual"]


def serve_cpp(tool):
    """Answers messages with the compiled programs of one of the reference's C++ tools, in the current directory."""
    for line in sys.stdin:
        message = json.loads(line)
        response = {"id": message["id"]}
        program = f"tools/{tool}/bin/{message.get('module')}"
        if message["kind"] == "define":
            response["success"] = os.path.exists(program)
        elif message["kind"] == "evaluate":
            with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
                json.dump(message["input"], file)
                file.flush()
                done = subprocess.run([program, file.name, message["function"]], text=True, capture_output=True)
            response["success"] = done.returncode == 0
            if done.returncode == 0:
                output, *timings = map(json.loads, done.stdout.splitlines())
                response |= {"output": output, "timings": timings}
            else:
                response["error"] = done.stderr
        print(json.dumps(response), flush=True)


def text_of_characters(path, count):
    """A text in place of one that a snapshot may lack: words, and quotation marks that take 14 bits."""
    state, words = 1, []
    while sum(map(len, words)) + len(words) < count:
        state = state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        length = 2 + (state >> 33) % 7
        word = "".join(chr(97 + (state >> 3 * i) % 26) for i in range(length))
        words.append(f"\u201c{word}\u201d" if len(words) % 17 == 3 else word)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(words), encoding="utf8")


class Tool:
    """A tool's process, whose answers are waited for so long."""

    def __init__(self, command, cwd, environment):
        self.process = subprocess.Popen(
            [str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env=environment,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, line, seconds):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        answer, until = b"", time.monotonic() + seconds
        output = self.process.stdout.fileno()
        while not answer.endswith(b"\n"):
            if not select.select([output], [], [], max(0, until - time.monotonic()))[0]:
                return None
            part = os.read(output, 1 << 20)
            if not part:
                return None
            answer += part
        return answer

    def end(self):
        self.process.kill()
        self.process.wait()


def run(eval_name, tool_name, args, environment):
    """Times by size and function, in seconds, and what went wrong."""
    script = args.gradbench / "python/gradbench/gradbench/evals" / eval_name / "run.py"
    options = [] if eval_name == "hello" else ["--min-seconds", str(args.seconds), "--min-runs", "3"]
    if eval_name == "ht":
        found = [int(f.stem.split("_")[0][4:]) for f in (args.gradbench / "evals/ht/data/complicated_big").glob("hand*")]
        options += ["--max", str(max(found))]
    options += args.options.split() if args.options else []
    judge = subprocess.Popen(
        [sys.executable, str(script), *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=args.gradbench,
        env=environment, stderr=subprocess.DEVNULL,
    )
    tool = Tool(command(tool_name, eval_name, args), args.gradbench, environment)
    times, wrong, asked = {}, [], {}
    began = time.monotonic()
    for line in judge.stdout:
        message = json.loads(line)
        if message["kind"] == "analysis":
            answer = json.dumps({"id": message["id"]}).encode() + b"\n"
            if not message["valid"]:
                wrong.append(f"{asked[message['of']]}: {str(message.get('error'))[:300]}")
        else:
            left = args.limit - (time.monotonic() - began)
            answer = tool.ask(line, max(left, 1))
            if answer is None:
                if left > 1 and tool.process.poll() is not None:
                    wrong.append(f"{eval_name} {message.get('description', '')}: the tool ended")
                break
            if message["kind"] == "evaluate":
                size = str(message.get("description", message["input"]))
                asked[message["id"]] = f"{eval_name} {message['function']} {size}"
                response = json.loads(answer)
                if response.get("success"):
                    runs = [t["nanoseconds"] * 1e-9 for t in response["timings"] if t["name"] == "evaluate"]
                    times.setdefault(size, {})[message["function"]] = min(runs)
                else:
                    wrong.append(f"{asked[message['id']]}: {response.get('error')}")
        judge.stdin.write(answer)
        try:
            judge.stdin.flush()
        except BrokenPipeError:
            break
        if time.monotonic() - began > args.limit:
            break
    judge.kill()
    judge.wait()
    tool.end()
    return times, wrong


def shown(seconds):
    if seconds is None:
        return ""
    for unit, name in ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}" if seconds / unit < 100 else f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1e} s"


def table(eval_name, results):
    """One row for each size: the value and the derivative of each tool, and tapegrad's derivative over the others'."""
    functions = EVALS[eval_name]
    if functions == (None, None):
        rows = [(size, function) for size in results["tapegrad"] for function in ("ff", "fr", "rf", "rr")]
        lines = ["| | " + " | ".join(NAMES) + " |", "|---" * (len(NAMES) + 1) + "|"]
        for size, function in rows:
            cells = [shown(results[tool].get(size, {}).get(function)) for tool in NAMES]
            lines.append(f"| {function} | " + " | ".join(cells) + " |")
        return lines
    value, derivative = functions
    heads = [f"{tool}: value" for tool in NAMES]
    heads += [f"{tool}: derivative" for tool in NAMES] + ["over pytorch", "over jax", "over C++"]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for size in results["tapegrad"]:
        of = {tool: results[tool].get(size, {}) for tool in NAMES}
        cells = [shown(of[tool].get(value)) for tool in NAMES] + [shown(of[tool].get(derivative)) for tool in NAMES]
        own = of["tapegrad"].get(derivative)
        for tool in NAMES[1:]:
            other = of[tool].get(derivative)
            cells.append(f"{own / other:.2f}" if own and other else "")
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return lines


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gradbench", type=Path, help="a checkout of GradBench")
    parser.add_argument("--tapegrad", type=Path, default=ROOT / "target/release/tapegrad-gradbench")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/gradbench.md")
    parser.add_argument("--evals", nargs="+", default=list(EVALS), choices=list(EVALS))
    parser.add_argument("--tools", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--seconds", type=float, default=0.3, help="for which each function is repeated")
    parser.add_argument("--limit", type=float, default=120, help="seconds for all sizes of an eval with one tool")
    parser.add_argument("--options", help="for the eval's own script, as \"-n 16 32\"")
    parser.add_argument("--results", type=Path, help="a file that keeps what was measured: what is there is not run again")
    parser.add_argument("--cpp", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cpp:
        return serve_cpp(args.cpp)
    args.gradbench = args.gradbench.resolve()
    text = args.gradbench / "evals/lstm/data/lstm_full.txt"
    if not text.exists():
        text_of_characters(text, 10000)
    environment = os.environ | {
        "PYTHONPATH": str(args.gradbench / "python/gradbench"),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    }
    pages, errors = [], []
    kept = json.loads(args.results.read_text()) if args.results and args.results.exists() else {}
    for eval_name in args.evals:
        results = {tool: {} for tool in NAMES}
        for tool in args.tools:
            if eval_name in SERVED.get(tool, EVALS):
                key = f"{eval_name} {tool}"
                if key not in kept:
                    kept[key] = run(eval_name, tool, args, environment)
                    if args.results:
                        args.results.write_text(json.dumps(kept))
                results[tool], wrong = kept[key]
                errors += [f"{tool}: {w}" for w in wrong]
                print(eval_name, tool, len(results[tool]), "sizes", "; ".join(wrong), file=sys.stderr, flush=True)
        pages += [f"## {eval_name}", "", *table(eval_name, results), ""]
        print("\n".join(pages[-len(table(eval_name, results)) - 2:]), flush=True)
    if args.options or set(args.evals) != set(EVALS) or set(args.tools) != set(NAMES):
        return
    page = (HERE.parent / "page.md").read_text()
    facts = {"processor": processor(), "seconds": args.seconds, "limit": f"{args.limit:.0f}"}
    for name, value in facts.items():
        page = page.replace("{" + name + "}", str(value))
    wrong = [f"- {e}" for e in errors] or ["None."]
    args.out.write_text("\n".join([page, *pages, "## Answers that were refused", "", *wrong, ""]))


if __name__ == "__main__":
    main()
