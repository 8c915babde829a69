"""Checksum of the content of a checkpoint: a flipped bit is an error, not a wrong prediction."""

import hashlib
from collections.abc import Mapping
from typing import Any

import torch

_KEY = "checksum"


def content_checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of nested dicts, lists, texts, numbers and tensors, without the stored checksum."""
    total = hashlib.sha256()
    _add(total, {name: value for name, value in content.items() if name != _KEY})
    return total.hexdigest()


def _add(total: Any, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu().contiguous()
        total.update(f"tensor {plain.dtype} {tuple(plain.shape)} ".encode())
        total.update(plain.reshape(-1).view(dtype=torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        total.update(f"dict {len(value)} ".encode())
        for name, entry in value.items():
            _add(total, name)
            _add(total, entry)
    elif isinstance(value, list | tuple):
        total.update(f"list {len(value)} ".encode())
        for entry in value:
            _add(total, entry)
    else:
        text = repr(value).encode()
        total.update(f"{type(value).__name__} {len(text)} ".encode() + text)
