"""Ranks that torchrun or srun started, as their environment says; and whether they are as many as was meant."""

import os
import subprocess
from collections.abc import Mapping

from attrs import frozen

from collidekit.errors import CollidekitError

FIRST_PORT, PORTS = 10_000, 50_000
"""Ports of jobs of Slurm: one that follows from the number of the job."""


@frozen
class Place:
    """One process among those of a launcher."""

    rank: int
    size: int
    local_rank: int
    """Its number on this node, and that of its device."""
    local_size: int
    """Processes on this node."""
    launcher: str


def place_of(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return the place of this process among the ranks of torchrun or srun; None where neither started several.

    In a batch job of Slurm that does not use srun all variables of the job are there, but the process is alone.
    """
    known = os.environ if environment is None else environment
    if "TORCHELASTIC_RUN_ID" in known and {"RANK", "WORLD_SIZE"} <= known.keys():
        rank, size, local, local_size = (
            _number(known, name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        )
        return Place(rank, size, local, local_size, "torchrun") if size > 1 else None
    if known.get("SLURM_STEP_ID", "").isdigit() and known.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        rank, size, local = (_number(known, name) for name in ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"))
        per_node = known.get("SLURM_STEP_TASKS_PER_NODE", str(size)).partition("(")[0].partition(",")[0]
        return Place(rank, size, local, int(per_node) if per_node.isdigit() else size, "srun")
    return None


def without_launcher(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which a process is alone: for those that a rank starts itself."""
    return {name: value for name, value in environment.items() if name not in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID")}


def check_size(place: Place | None, devices: int, nodes: int) -> None:
    """Raise CollidekitError where the launcher started other ranks than ``devices`` (0: not said) on each of ``nodes``."""
    if devices < 0 or nodes < 1:
        raise CollidekitError(
            f"--devices {devices} --nodes {nodes}: give the processes on each node, and the nodes, 1 or more of each"
        )
    if place is None and nodes > 1:
        raise CollidekitError(
            f"--nodes {nodes}: this is a single process; start one on each node with torchrun or srun (docs/ranks.md)"
        )
    if place is not None and devices and place.size != devices * nodes:
        raise CollidekitError(
            f"{place.launcher} started {place.size} ranks, and --devices {devices} on --nodes {nodes} are {devices * nodes}; in Slurm "
            "--ntasks-per-node must be --devices, and --nodes the same"
        )


def name_first_node(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return MASTER_ADDR and MASTER_PORT of a step of Slurm, where they are not set: its first node, a port of the job."""
    known = os.environ if environment is None else environment
    found = {name: known[name] for name in ("MASTER_ADDR", "MASTER_PORT") if name in known}
    if "MASTER_PORT" not in found:
        found["MASTER_PORT"] = str(FIRST_PORT + _number(known, "SLURM_JOB_ID") % PORTS)
    if "MASTER_ADDR" not in found:
        nodes = known.get("SLURM_STEP_NODELIST") or known.get("SLURM_JOB_NODELIST", "")
        try:
            said = subprocess.run(
                ["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CollidekitError(
                f"the first node of {nodes!r} is not known, since scontrol does not answer ({error}); set MASTER_ADDR to its name"
            ) from None
        found["MASTER_ADDR"] = said.stdout.split()[0]
    return found


def _number(known: Mapping[str, str], name: str) -> int:
    try:
        return int(known[name])
    except (KeyError, ValueError):
        raise CollidekitError(
            f"the environment variable {name} is {known.get(name)!r}, and must be a number: the launcher sets it"
        ) from None
