"""A least squares gradient whose rows processes share: tapegrad over MPI beside torch.distributed with gloo.

    python benches/peers/distributed.py PROGRAM [--rows 20000] [--cols 2000] [--rounds 3]

PROGRAM is benches/distributed.rs, built with `cargo bench --no-run --features mpi --bench distributed`. Both are run in turn,
so that a busy machine is as busy for the one as for the other: medians of the rounds, and the least times.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = 15


def torch_worker(rank: int, size: int, threads: int, rows: int, cols: int, queue) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(threads)
    torch.manual_seed(rank)
    dist.init_process_group("gloo", init_method="tcp://127.0.0.1:29533", rank=rank, world_size=size)
    start, end = rows * rank // size, rows * (rank + 1) // size
    a = torch.rand(end - start, cols, dtype=torch.float64)
    y = torch.rand(end - start, dtype=torch.float64)
    x = torch.full((cols,), 0.01, dtype=torch.float64, requires_grad=True)
    times, exchanges = [], []
    for _ in range(ROUNDS):
        x.grad = None
        dist.barrier()
        began = time.perf_counter()
        loss = (y - a.mv(x)).square().sum()
        loss.backward()
        message = torch.cat([loss.detach().reshape(1), x.grad])
        before = time.perf_counter()
        dist.all_reduce(message)
        ended = time.perf_counter()
        times.append(ended - began)
        exchanges.append(ended - before)
    slowest = torch.tensor([times, exchanges], dtype=torch.float64)
    dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
    if rank == 0:
        queue.put([(statistics.median(row), min(row)) for row in slowest.tolist()])
    dist.barrier()
    dist.destroy_process_group()


def torch_time(size: int, threads: int, rows: int, cols: int) -> list[tuple[float, float]]:
    import torch.multiprocessing as mp

    context = mp.get_context("spawn")
    queue = context.Queue()
    workers = [
        context.Process(target=torch_worker, args=(rank, size, threads, rows, cols, queue)) for rank in range(size)
    ]
    for worker in workers:
        worker.start()
    found = queue.get(timeout=300)
    for worker in workers:
        worker.join()
    return found


def tapegrad_time(program: str, size: int, threads: int, rows: int, cols: int) -> dict:
    command = ["mpirun", "-n", str(size), "--bind-to", "none", program, str(rows), str(cols)]
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--cols", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-torch", action="store_true")
    arguments = parser.parse_args()
    size = (arguments.rows, arguments.cols)
    print("medians / least times    tapegrad ms   exchange us   torch ms   exchange us   tapegrad / torch")
    for processes, threads in [(1, 1), (1, 2), (2, 1)]:
        ours, theirs = [], []
        for _ in range(arguments.rounds):
            ours.append(tapegrad_time(arguments.program, processes, threads, *size))
            if not arguments.no_torch:
                theirs.append(torch_time(processes, threads, *size))
        line = f"{processes} x {threads} thread(s)"
        pick = {0: statistics.median, 1: min}
        values = []
        for name in ("gradient", "exchange"):
            values.append([of(run[name][k] for run in ours) for k, of in pick.items()])
        for column in range(2 if theirs else 0):
            values.append([of(run[column][k] for run in theirs) for k, of in pick.items()])
        for k, (median, least) in enumerate(values):
            scale = 1e6 if k % 2 else 1e3
            line += f"   {scale * median:8.2f} / {scale * least:.2f}"
        if theirs:
            line += f"   {values[0][0] / values[2][0]:.2f} / {values[0][1] / values[2][1]:.2f}"
        print(line, flush=True)
    print(json.dumps(ours[-1]["messages"]))


if __name__ == "__main__":
    sys.exit(main())
