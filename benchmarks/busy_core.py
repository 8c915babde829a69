"""Measure the training rate while another process keeps one core busy, for each waiting policy of idle threads.

    python benchmarks/busy_core.py [--networks pfn,deepjet] [--seconds 4] [--repeats 2] [--batch 256]

Each network trains on the bundled top-tagging sample, with one thread on each core, in a separate process for each
waiting policy of OpenMP: threads that always spin, the load monitor of collidekit.threads, and OMP_WAIT_POLICY=PASSIVE.
The processes take turns, on a quiet machine and with one busy core. The output is the rows per second of the best turn, and the
ratio to spinning on the quiet machine.
"""

import argparse
import os
import subprocess
import sys
import time

POLICIES: dict[str, dict[str, str]] = {
    "spinning": {"GOMP_SPINCOUNT": "300000"},  # the default of GNU OpenMP; a value that is set turns the monitor off
    "monitor": {},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE"},
}
BUSY = "while True: pass"


def measure_rate(network: str, batch: int) -> None:
    """Print the training rate for each number of seconds read from standard input; runs in a worker process."""
    import tempfile
    from pathlib import Path

    import torch

    import collidekit as ck
    from collidekit.memory import keep_freed_memory
    from collidekit.models.heads import ClassesHead
    from collidekit.models.registry import build_network
    from collidekit.models.tagger import Tagger
    from collidekit.objectives.classification import Classification
    from collidekit.threads import sharing_cores
    from collidekit.training.optimizers import build_optimizer
    from collidekit.training.prepare import prepare

    keep_freed_memory()
    torch.manual_seed(1)
    plan = ck.load_plan("top_tagging")
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(__file__).parent.parent / "samples/top_tagging/test.root"
        ck.construct(plan, str(sample), Path(folder) / "dataset")
        dataset = ck.Dataset(Path(folder) / "dataset")
        config = ck.TrainingConfig(model_name=network, batch_size=batch)
        data = prepare(dataset, config, 1)
        batches = [rows for rows in data.training if len(rows) == batch]
    objective = Classification(torch.ones(len(plan.analysis.classes)))
    head = ClassesHead.of(plan.analysis)
    tagger = Tagger(plan.analysis, build_network(network, plan.analysis.inputs, head.outputs, {}), head)
    tagger.scaling.fit(data.statistics)
    optimizer = build_optimizer("AdamW", tagger.parameters(), 1e-3, (0.95, 0.999), 1e-6, 0.01)

    def train(seconds: float) -> float:
        begun, rows = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            rows_of_step = batches[rows // batch % len(batches)]
            loss = objective.loss(tagger(rows_of_step), rows_of_step, rows_of_step.weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rows += batch
        return rows / (time.perf_counter() - begun)

    print("ready", flush=True)
    for line in sys.stdin:
        with sharing_cores(torch.get_num_threads()):
            train(1.5)  # the monitor looks at the load twice a second
            print(train(float(line)), flush=True)


def worker(network: str, batch: int, policy: str) -> subprocess.Popen[str]:
    """Return a process that trains one network with one waiting policy, ready to measure."""
    environment = {name: text for name, text in {**os.environ, **POLICIES[policy]}.items() if text}
    command = [sys.executable, __file__, "--worker", network, "--batch", str(batch)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    )
    assert process.stdout
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError(f"{network} does not train on this sample")
    return process


def turn(process: subprocess.Popen[str], seconds: float) -> float:
    """Return the rows per second of one turn."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(f"{seconds}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    from collidekit.models.registry import NETWORKS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--policies", default=",".join(POLICIES))
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        measure_rate(options.worker, options.batch)
        return
    policies = options.policies.split(",")
    print(f"{'network':28}" + "".join(f"{name:>26}" for name in policies) + "   (quiet, busy: rows/s and ratio)")
    for network in options.networks.split(","):
        try:
            processes = {policy: worker(network, options.batch, policy) for policy in policies}
        except RuntimeError as error:
            print(f"{network:28} {error}", flush=True)
            continue
        rates: dict[tuple[str, bool], list[float]] = {}
        for busy in (False, True):
            foreign = subprocess.Popen([sys.executable, "-c", BUSY]) if busy else None
            for policy in policies:
                rates[policy, busy] = []
            for _ in range(options.repeats):
                for policy, process in processes.items():
                    rates[policy, busy].append(turn(process, options.seconds))
            if foreign:
                foreign.kill()
                foreign.wait()
        for process in processes.values():
            process.kill()
            process.wait()
        reference = max(rates[policies[0], False])
        cells = []
        for policy in policies:
            quiet, busy_rate = max(rates[policy, False]), max(rates[policy, True])
            cells.append(f"{quiet:9,.0f} {quiet / reference:.2f} {busy_rate:8,.0f} {busy_rate / reference:.2f}")
        print(f"{network:28}" + "".join(f"{cell:>26}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
