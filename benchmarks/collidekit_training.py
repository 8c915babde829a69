"""Train and predict with a network of collidekit on ragged jets; started by training.py."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from training_worker import Side, Turns, serve

from collidekit.dataset.batch import Batch
from collidekit.memory import keep_freed_memory
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger
from collidekit.objectives.classification import Classification
from collidekit.training.optimizers import build_optimizer


def build(settings: dict[str, Any]) -> Side:
    """Return a network with unscaled jets in memory, and the steps of the training loop and of prediction."""
    keep_freed_memory()  # as the training loop does
    device, mixed = settings["device"], settings["precision"] == "bf16"
    analysis, jets, scaling = torch.load(Path(settings["folder"]) / "jets.pt", weights_only=False)
    objective = Classification(torch.ones(len(analysis.classes)))
    network = build_network(settings["network"], analysis.inputs, len(analysis.classes), settings["options"])
    tagger = Tagger(analysis, network)
    tagger.scaling.load_state_dict(scaling)
    tagger.to(device)
    optimizer = build_optimizer("AdamW", tagger.parameters(), 1e-3, (0.95, 0.999), 1e-6, 0.01)

    def take(index: np.ndarray) -> Batch:
        return jets.take(torch.from_numpy(index))

    def train(batch: Batch) -> float:
        batch = batch.to(device)
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            outputs = tagger(batch)
        loss = objective.loss(outputs.float(), batch, batch.weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    @torch.inference_mode()
    def predict(batch: Batch) -> np.ndarray:
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            outputs = tagger(batch.to(device))
        return torch.softmax(outputs.float(), dim=1).cpu().numpy()

    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Side(tagger, parameters, len(jets), take, train, predict)


def profile_training(settings: dict[str, Any], seconds: float, rows: int = 25) -> str:
    """Return the table of operators of a training step from torch's profiler, and the rate without the profiler."""
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(settings["seed"])
    side = build(settings)
    turns = Turns(side, settings)
    turns.measure("training", 0.0)  # warm-up
    begin = time.process_time()
    measured = turns.measure("training", seconds)
    cpu = time.process_time() - begin
    cuda = settings["device"] != "cpu"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    side.model.train()
    with profile(activities=activities, record_shapes=True) as profiler:
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            side.train(next(turns.batches["training"]))
    key = "self_cuda_time_total" if cuda else "self_cpu_time_total"
    tables = [
        profiler.key_averages(group_by_input_shape=shapes).table(
            sort_by=key, row_limit=rows, max_name_column_width=48, max_shapes_column_width=60
        )
        for shapes in (False, True)
    ]
    rate = (
        f"{settings['network']}, {side.parameters:,} parameters, batch {settings['batch']}, {settings['precision']}: "
        f"{measured['jets'] / measured['seconds']:,.1f} jets/s, {measured['jets'] / cpu:,.1f} jets per CPU second, "
        f"{measured['flops'] / 1e6:,.1f} MFLOP per jet, peak memory {measured['memory']:,.0f} MiB"
    )
    return "\n".join([*tables, rate])


if __name__ == "__main__":
    serve(build)
