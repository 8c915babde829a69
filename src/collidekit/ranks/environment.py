"""Ranks of torchrun or srun, from environment variables, and the check of their number."""

import os
import subprocess
from collections.abc import Mapping

from attrs import frozen

from collidekit.errors import CollidekitError

FIRST_PORT, PORTS = 10_000, 50_000
"""First port and number of ports for Slurm jobs; the number of the job determines the port."""


@frozen
class Place:
    """Place of one process among the ranks of a launcher."""

    rank: int
    size: int
    local_rank: int
    """Index of the process on this node, and of its device."""
    local_size: int
    """Number of processes on this node."""
    launcher: str


def place_of(environment: Mapping[str, str] | None = None) -> Place | None:
    """Return the place of this process among the ranks of torchrun or srun; None if neither started several.

    In a Slurm job without srun all variables of the job exist, but the process is alone.
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
    """Return an environment in which a process is a single rank, for processes that a rank starts itself."""
    return {name: value for name, value in environment.items() if name not in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID")}


def check_size(place: Place | None, devices: int, nodes: int) -> None:
    """Raise CollidekitError unless the launcher started ``devices`` ranks (0: any number) on each of ``nodes``."""
    if devices < 0 or nodes < 1:
        raise CollidekitError(
            f"--devices {devices} --nodes {nodes}: give the number of processes on each node and of nodes, both at least 1"
        )
    if place is None and nodes > 1:
        raise CollidekitError(
            f"--nodes {nodes}: this is a single process; start one on each node with torchrun or srun (docs/ranks.md)"
        )
    if place is not None and devices and place.size != devices * nodes:
        raise CollidekitError(
            f"{place.launcher} started {place.size} ranks, but --devices {devices} times --nodes {nodes} is {devices * nodes}; in Slurm "
            "--ntasks-per-node must equal --devices, and --nodes must be the same"
        )


def name_first_node(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return MASTER_ADDR and MASTER_PORT of a Slurm step if they are not set: its first node, and a port of the job."""
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
                f"the first node of {nodes!r} is not known, because scontrol does not answer ({error}); set MASTER_ADDR to its name"
            ) from None
        found["MASTER_ADDR"] = said.stdout.split()[0]
    return found


def _number(known: Mapping[str, str], name: str) -> int:
    try:
        return int(known[name])
    except (KeyError, ValueError):
        raise CollidekitError(
            f"the environment variable {name} is {known.get(name)!r}, but must be a number; the launcher sets it"
        ) from None
