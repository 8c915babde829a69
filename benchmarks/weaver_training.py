"""Train and predict with a network of weaver on padded jets; started by training.py in weaver's environment.

ParticleNet and ParticleTransformer come from weaver-core, with the sizes of its examples. PFN and P-CNN are only in these
examples, in the folder ``networks`` of github.com/jet-universe/particle_transformer.
"""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from training_worker import Side, serve
from weaver.nn.model.ParticleNet import ParticleNet
from weaver.nn.model.ParticleTransformer import ParticleTransformer, SequenceTrimmer

INPUTS = ("points", "features", "vectors", "mask")
CLASSES = 2
SMALL: dict[str, Any] = {
    "embed_dims": (64, 128, 64),
    "pair_embed_dims": (16, 16),
    "num_heads": 4,
    "num_layers": 3,
    "num_cls_layers": 1,
    "block_params": {"ffn_ratio": 2, "dropout": 0, "attn_dropout": 0, "activation_dropout": 0},
    "cls_block_params": {"ffn_ratio": 2},
}
"""Sizes of collidekit's small variant, which weaver's network can also have."""


class TakesPoints(nn.Module):
    """Wrapper of a network with coordinates and features as inputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, points: Tensor, features: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        return self.network(points, features, mask)


class TakesVectors(TakesPoints):
    """Wrapper of a network with features and four-momenta as inputs."""

    def forward(self, points: Tensor, features: Tensor, vectors: Tensor, mask: Tensor) -> Tensor:
        return self.network(features, v=vectors, mask=mask)


def particle_net(features: int, blocks: list[tuple[int, int]], dense: int, amp: bool) -> nn.Module:
    """Return ParticleNet with edge convolutions of (neighbours, width), three layers each; sizes of arXiv 1902.08570, figure 2."""
    sizes = [(neighbours, (width,) * 3) for neighbours, width in blocks]
    network = ParticleNet(features, CLASSES, sizes, [(dense, 0.1)], use_fusion=False, use_amp=amp)
    return TakesPoints(network)


def particle_transformer(features: int, amp: bool, **sizes: Any) -> nn.Module:
    """Return ParticleTransformer; the default sizes are those of arXiv 2202.03772, section 4."""
    network = ParticleTransformer(
        features, CLASSES, pair_input_dim=4, use_pre_activation_pair=False, use_amp=amp, **sizes
    )
    return TakesVectors(network)


def example(folder: str, file: str, features: int) -> nn.Module:
    """Return the network of a file of weaver's examples."""
    if not folder:
        raise ValueError(f"weaver-core does not ship it; give the folder with {file} as --examples")
    path = Path(folder) / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    names = [f"pf_{name}" for name in INPUTS]
    config = SimpleNamespace(
        input_dicts={"pf_features": list(range(features))},
        label_value=list(range(CLASSES)),
        input_names=names,
        input_shapes=dict.fromkeys(names, (-1, 1, 128)),
    )
    return module.get_model(config)[0]  # type: ignore[no-any-return]


def network(name: str, features: int, examples: str, amp: bool) -> nn.Module:
    match name:
        case "particlenet":
            return particle_net(features, [(16, 64), (16, 128), (16, 256)], 256, amp)
        case "particlenet_lite":
            return particle_net(features, [(7, 32), (7, 64)], 128, amp)
        case "particle_transformer":
            return particle_transformer(features, amp)
        case "particle_transformer_small":
            return particle_transformer(features, amp, **SMALL)
        case "pfn":
            return example(examples, "example_PFN.py", features)
        case "pcnn":
            return example(examples, "example_PCNN.py", features)
    raise ValueError(f"weaver has no network {name!r}")


def build(settings: dict[str, Any]) -> Side:
    """Return a network with jets in memory, padded to 128, and the steps of weaver's train.py without its logging."""
    device, amp = settings["device"], settings["precision"] == "bf16"
    with np.load(settings["jets"]) as file:
        jets = {name: torch.from_numpy(file[name]) for name in (*INPUTS, "labels")}
    model = network(settings["network"], jets["features"].shape[1], settings["examples"], amp).to(device)
    for module in model.modules():
        if isinstance(module, SequenceTrimmer):  # it begins to cut the padding after its first five batches
            module._counter.fill_(module.warmup_steps)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.95, 0.999), weight_decay=0.01)
    loss_function = nn.CrossEntropyLoss()

    def take(index: np.ndarray) -> tuple[list[Tensor], Tensor]:
        rows = torch.from_numpy(index)
        taken = [jets[name][rows] for name in (*INPUTS, "labels")]
        if device != "cpu":
            taken = [values.pin_memory() for values in taken]  # as its loader does
        return taken[:-1], taken[-1]

    def train(batch: tuple[list[Tensor], Tensor]) -> float:
        inputs, labels = [values.to(device) for values in batch[0]], batch[1].to(device)
        optimizer.zero_grad()
        with torch.autocast("cuda", enabled=amp, dtype=torch.bfloat16):
            loss = loss_function(model(*inputs), labels)
        loss.backward()
        optimizer.step()
        return float(loss.item())

    @torch.no_grad()
    def predict(batch: tuple[list[Tensor], Tensor]) -> np.ndarray:
        inputs = [values.to(device) for values in batch[0]]
        with torch.autocast("cuda", enabled=amp, dtype=torch.bfloat16):
            outputs = model(*inputs)
        return torch.softmax(outputs.float(), dim=1).cpu().numpy()

    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Side(model, parameters, len(jets["labels"]), take, train, predict)


if __name__ == "__main__":
    serve(build)
