"""SIGTERM and SIGHUP save the state; a damaged last checkpoint does not block going on."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_content
from collidekit.training.stopping import newest_whole


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_the_state_and_ends_the_training(
    training: Callable[..., Any], dataset: Dataset, monkeypatch: pytest.MonkeyPatch, kind: signal.Signals
) -> None:
    whole = training(dataset, "whole")
    whole.run()
    before = signal.getsignal(kind)
    stopped = training(dataset, "stopped")
    step = stopped._train_step

    def told(batch: Any) -> Any:
        if stopped.step == 5:
            os.kill(os.getpid(), kind)
        return step(batch)

    monkeypatch.setattr(stopped, "_train_step", told)
    with pytest.raises(CollidekitError, match=rf"stopped by {kind.name} in epoch \d; the state is saved, and the same"):
        stopped.run()
    assert signal.getsignal(kind) == before
    assert load_content(stopped.folder / "last.pt")["state"]["position"][0] == 6
    again = training(dataset, "stopped")
    again.resume(stopped.folder / "last.pt")
    again.run()
    for name, value in whole.tagger.state_dict().items():
        assert torch.equal(value, again.tagger.state_dict()[name])


def test_a_truncated_last_checkpoint(train: Callable[..., Any], dataset: Dataset) -> None:
    folder: Path = train(dataset, epochs=3).folder
    said: list[str] = []
    assert newest_whole(folder, said.append) == folder / "last.pt"
    assert not said
    content = (folder / "last.pt").read_bytes()
    (folder / "last.pt").write_bytes(content[: len(content) // 2])
    (folder / "model_3.pt").write_bytes(b"")
    assert newest_whole(folder, said.append) == folder / "model_2.pt"
    assert "last.pt: not a readable checkpoint" in said[0]
    assert "continuing from model_2.pt" in said[0]
    for path in folder.glob("model_*.pt"):
        path.write_bytes(b"")
    with pytest.raises(
        CollidekitError, match=r"no other checkpoint in \S+ is readable; start again with --resume-training False"
    ):
        newest_whole(folder, said.append)
    assert newest_whole(folder / "nothing", said.append) is None
