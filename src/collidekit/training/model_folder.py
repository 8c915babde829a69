"""Published models: ``model.safetensors`` with weights and scaling, ``model.json`` with everything else; no code."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from collidekit.analysis.schema import FORMATS
from collidekit.errors import CollidekitError
from collidekit.files import read_json, replacing
from collidekit.models.registry import KIND as NETWORK
from collidekit.objectives.registry import KIND as OBJECTIVE
from collidekit.plugins import entry_point, python_file
from collidekit.sealed import check_seal, write_sealed

FORMAT = 1
WEIGHTS, DESCRIPTION, CARD = "model.safetensors", "model.json", "README.md"
COPY = "copy the whole folder again"
_KEYS = {"analysis", "config", "epoch", "weights"}


def save_model(folder: Path, tagger: dict[str, Tensor], description: dict[str, Any]) -> dict[str, Any]:
    """Write weights and buffers, then the description with their checksum: a folder with a description is complete.

    The description contains analysis, config and epoch, and possibly more, such as the origin of the model. Return the
    size and the checksum of the weights.
    """
    content = save({name: value.detach().cpu().contiguous().clone() for name, value in tagger.items()})
    (folder / DESCRIPTION).unlink(missing_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        temporary.write_bytes(content)
    weights = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    write_sealed(folder / DESCRIPTION, {"collidekit model": FORMAT, **description, "weights": weights})
    return weights


def read_description(path: Path) -> dict[str, Any]:
    """Return the content of a ``model.json``."""
    if not path.is_file():
        raise CollidekitError(
            f"{path}: there is no such file; it must be in the folder of {WEIGHTS}: copy the whole folder"
        )
    content: dict[str, Any] = read_json(path)
    known = isinstance(content, dict) and content.get("collidekit model") == FORMAT and content.keys() >= _KEYS
    if not known or not all(isinstance(content[key], dict) for key in ("analysis", "config", "weights")):
        raise CollidekitError(f"{path}: does not describe a model of this version of collidekit")
    return content


def check_inside(path: Path) -> None:
    """Raise an error for a file of a model that is a link out of its folder."""
    if path.is_symlink() and path.resolve().parent != path.parent.resolve():
        raise CollidekitError(
            f"{path}: is a link to {path.resolve()}, out of the folder of the model; copy the file itself into it"
        )


def load_model(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint for prediction: analysis and config as JSON text, epoch, and checked weights."""
    check_inside(path)
    check_inside(path.with_name(DESCRIPTION))
    description = read_description(path.with_name(DESCRIPTION))
    check_no_code(path, description["analysis"], description["config"])
    description = check_seal(path.with_name(DESCRIPTION), description, COPY)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != description["weights"].get("sha256"):
        raise CollidekitError(
            f"{path}: is not the file that {DESCRIPTION} describes (its checksum differs): it is damaged, truncated "
            "or changed; copy the whole folder again"
        )
    try:
        tagger = load(content)
    except SafetensorError as error:
        raise CollidekitError(f"{path}: not a readable file of weights ({error})") from None
    return {
        "analysis": json.dumps(description["analysis"]),
        "config": json.dumps(description["config"]),
        "epoch": description["epoch"],
        "tagger": tagger,
        "state": {},
        "temperature": description.get("temperature"),
        "learned_from": description.get("learned_from"),
    }


def check_no_code(path: Path, analysis: dict[str, Any], config: dict[str, Any]) -> None:
    """Raise an error if a model needs Python code of its author; a published model never does."""
    network, objective = (str(config.get(key) or "") for key in ("model_name", "objective"))
    source = str((analysis.get("source") or {}).get("format", ""))
    own = {
        "its network": _code("network", NETWORK.own(network)),
        "its objective": _code("objective", OBJECTIVE.own(objective)),
        "the processor of its analysis": analysis.get("processor") or "",
        "the reader of its analysis": _code("reader", None if source in FORMATS else source),
    }
    for what, code in own.items():
        if code:
            raise CollidekitError(
                f"{path}: {what} is user code ({code}), which a published model cannot contain; use best_model.pt"
            )


def _code(what: str, name: str | None) -> str:
    """Return the name if it is a Python file or belongs to an installed package, else an empty text."""
    return name if name and (python_file(name) or entry_point(what, name)) else ""
