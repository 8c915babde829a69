"""Learning rates at the ends and corners."""

import pytest

from collidekit.training.schedules import SCHEDULES

FLOOR, WARMUP, EPOCHS = 0.01, 0.1, 10


def factor(name: str, progress: float, epochs: int = EPOCHS, floor: float = FLOOR, warmup: float = WARMUP) -> float:
    return SCHEDULES[name](progress, epochs, floor, warmup)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("constant", {0: 1, 5: 1, 10: 1}),
        # epochs of 10: 1 until 70 % of the nine steps between them, 0.01 in the last epoch
        ("epoch_lin_decay", {0: 1, 6.9: 1, 7: 1 - 0.99 * 0.7 / 2.7, 7.9: 1 - 0.99 * 0.7 / 2.7, 9: FLOOR, 9.9: FLOOR}),
        ("batch_lin_decay", {0: 1, 7: 1, 8.5: (1 + FLOOR) / 2, 10: FLOOR}),
        ("cosine", {0: FLOOR, 0.5: (1 + FLOOR) / 2, 1: 1, 5.5: (1 + FLOOR) / 2, 10: FLOOR}),
        ("batch_cosine_warmup", {0: FLOOR, 1: 1, 10: FLOOR}),
        ("inverse_decay", {0: 1, 0.9: 1, 1: 30 / 31, 6.5: 30 / 36}),
        ("one_cycle", {0: 1 / 25, 0.5: (1 + 1 / 25) / 2, 1: 1, 5.5: (1 + FLOOR) / 2, 10: FLOOR}),
    ],
)
def test_values(name: str, values: dict[float, float]) -> None:
    assert {progress: factor(name, progress) for progress in values} == pytest.approx(values)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("epochs", [1, 2, 10])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.9])
def test_always_between_0_and_1_and_flat_after_the_end(name: str, epochs: int, warmup: float) -> None:
    values = [factor(name, i * epochs / 100, epochs, warmup=warmup) for i in range(101)]
    assert all(0 < value <= 1 + 1e-12 for value in values)
    if name == "inverse_decay":
        assert factor(name, epochs - 0.5, epochs) == pytest.approx(1 / (1 + (epochs - 1) / 30))
        return
    last = factor(name, float(epochs), epochs, warmup=warmup)
    assert factor(name, epochs + 3.7, epochs, warmup=warmup) == pytest.approx(last)
    if name != "constant" and not (name == "epoch_lin_decay" and epochs == 1):
        assert last == pytest.approx(FLOOR)


def test_one_cycle_without_warm_up_has_its_top_at_30_percent() -> None:
    assert factor("one_cycle", 3, warmup=0.0) == pytest.approx(1)


def test_epoch_lin_decay_is_constant_within_an_epoch() -> None:
    for epoch in range(EPOCHS):
        assert len({factor("epoch_lin_decay", epoch + part) for part in (0, 0.3, 0.99)}) == 1
