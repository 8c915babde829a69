"""The place of a process among the ranks of a launcher, from the variables that torchrun and Slurm set."""

import pytest

from collidekit.errors import CollidekitError
from collidekit.ranks.environment import Place, check_size, name_first_node, place_of

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none", "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
}  # fmt: skip
BATCH = {"SLURM_JOB_ID": "77123", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NODELIST": "n[1-2]"}
STEP = {
    **BATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "0",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
}  # fmt: skip


def test_ranks_of_torchrun() -> None:
    assert place_of(TORCHRUN) == Place(3, 4, 1, 2, "torchrun")
    assert place_of({**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0"}) is None
    assert place_of({"RANK": "1", "WORLD_SIZE": "2"}) is None, "variables of another program"


def test_ranks_of_a_step_of_slurm() -> None:
    assert place_of(STEP) == Place(2, 4, 0, 2, "srun")
    assert place_of({**STEP, "SLURM_STEP_NUM_TASKS": "1"}) is None


def test_a_batch_job_without_srun_is_a_single_process() -> None:
    """It has the variables of four tasks, and waits for none of them."""
    assert place_of(BATCH) is None
    assert place_of({**BATCH, "SLURM_STEP_ID": "batch"}) is None


def test_another_number_of_ranks_than_meant_is_an_error() -> None:
    place = place_of(STEP)
    check_size(place, 2, 2)
    check_size(place, 0, 1)
    with pytest.raises(
        CollidekitError, match=r"srun started 4 ranks, but --devices 4 times --nodes 2 is 8; .*--ntasks-per-node"
    ):
        check_size(place, 4, 2)
    with pytest.raises(CollidekitError, match="--nodes 2: this is a single process"):
        check_size(None, 2, 2)
    for devices, nodes in ((-1, 1), (1, 0)):
        with pytest.raises(CollidekitError, match="both at least 1"):
            check_size(None, devices, nodes)


def test_a_variable_that_is_no_number_is_named() -> None:
    with pytest.raises(CollidekitError, match="LOCAL_RANK is 'one'"):
        place_of({**TORCHRUN, "LOCAL_RANK": "one"})
    with pytest.raises(CollidekitError, match="SLURM_LOCALID is None"):
        place_of({name: value for name, value in STEP.items() if name != "SLURM_LOCALID"})


def test_ranks_of_slurm_meet_at_a_port_of_their_job() -> None:
    assert name_first_node({**STEP, "MASTER_ADDR": "n1"}) == {"MASTER_ADDR": "n1", "MASTER_PORT": "37123"}
    assert name_first_node({**STEP, "MASTER_ADDR": "n1", "MASTER_PORT": "9"})["MASTER_PORT"] == "9"


def test_without_scontrol_the_address_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CollidekitError, match="set MASTER_ADDR"):
        name_first_node(STEP)
