"""Tables of benchmarks/training.py, and equal settings of both sides."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from training_cell import _compare_sizes, _turn
from training_jets import padded
from training_table import notes, pairs, rates, ratios, same_size, share, spread, tables
from training_worker import Counter, Side, Turns, failure


def record(side: str, rate: list[float], precision: str = "fp32", **other: object) -> dict:
    entry = {"jets_per_second": rate, "memory": 100.0, "flops": 2e6, "failure": None}
    return {
        "network": "pfn", "batch": 32, "side": side, "precision": precision, "parameters": 1000, "memory": 60.0, "failure": None,
        "training": entry, "prediction": {**entry, "failure": "out of memory"}, **other,
    }  # fmt: skip


def test_ratios_are_those_of_the_same_turn():
    assert ratios([40.0, 90.0], [10.0, 30.0]) == [4.0, 3.0]
    assert spread([4.0, 3.0, 10.0]) == "4 (3 to 10)"
    assert spread([]) == ""
    assert spread([1234.5]) == "1,234"


def test_a_side_that_failed_has_no_rate():
    side = record("weaver", [5.0])
    assert rates(side, "training") == [5.0]
    assert rates(side, "prediction") == []
    assert rates(None, "training") == []


def test_the_share_of_the_peak_is_operations_over_the_peak_of_that_precision():
    assert share(record("weaver", [100.0, 200.0, 300.0]), "training", {"fp32": 2.0}) == pytest.approx(0.2)
    assert share(record("weaver", [1.0]), "prediction", {"fp32": 2.0}) is None


def test_bf16_is_compared_to_fp32_where_weaver_has_no_other():
    fp32, ours, ours_bf16 = record("weaver", [5.0]), record("collidekit", [20.0]), record("collidekit", [50.0], "bf16")
    assert list(pairs([fp32, ours, ours_bf16])) == [(ours, fp32), (ours_bf16, fp32)]
    bf16 = record("weaver", [10.0], "bf16")
    assert list(pairs([fp32, bf16, ours_bf16])) == [(ours_bf16, bf16)]
    assert list(pairs([ours])) == [(ours, None)]


def test_the_tables_hold_ratios_memory_and_what_failed():
    runs = [record("weaver", [5.0, 10.0]), record("collidekit", [20.0, 50.0])]
    machine, peak = {"device name": "a processor"}, {"fp32": 1.0}
    result = {"machine": machine, "settings": {"repeats": 2}, "peak": peak, "runs": runs, "skipped": ["pcnn: left out"]}
    speed, work = tables(result)
    cells = {str(column.header): list(column.cells) for table in (speed, work) for column in table.columns}
    assert cells["weaver"] == ["7.5 (5 to 10)", "out of memory"]
    assert cells["collidekit / weaver"] == ["4.5 (4 to 5)", ""]
    assert cells["parameters"] == ["1,000 / 1,000"] * 2
    assert cells["peak MiB"] == ["100 / 100", "- / -"]
    assert cells["memory of steps"] == ["40 / 40", "- / -"]
    assert cells["less memory"] == ["1", ""]
    assert cells["fraction of peak"] == ["1.5 % / 7.0 %", "- / -"]
    assert notes(result)[-1] == "pcnn: left out"
    assert notes(result)[0] == "pfn, batch 32, weaver fp32, prediction: out of memory"


def test_networks_of_other_sizes_are_not_compared():
    assert same_size(1009, 1000)
    assert not same_size(1011, 1000)
    runs = [record("weaver", []), record("collidekit", [], parameters=2000)]
    _compare_sizes(runs)
    assert runs[1]["failure"] == "has 2,000 parameters, weaver's has 1,000"


def test_a_turn_adds_to_its_record_until_one_fails():
    answers = [
        {"failure": None, "jets": 64, "seconds": 2.0, "steps": 2, "memory": 10.0, "flops": 3.0},
        {"failure": "out of memory"},
    ]

    class Worker:
        def measure(self, mode: str, seconds: float) -> dict:
            return answers.pop(0)

    found = {"failure": None}
    for _ in range(3):  # the third asks no more
        _turn(Worker(), found, "training", 1.0)  # type: ignore[arg-type]
    assert found["training"]["jets_per_second"] == [32.0]
    assert found["training"]["failure"] == "out of memory"


def test_both_sides_see_the_same_jets_in_whole_batches():
    def jets_of_a_turn() -> list[list[int]]:
        seen: list[list[int]] = []
        side = Side(torch.nn.Linear(1, 1), 2, 10, lambda index: index.tolist(), seen.append, seen.append)
        turns = Turns(side, {"device": "cpu", "batch": 4, "seed": 1})
        turns.measure("training", 0.0)
        assert turns.measure("training", 0.0)["jets"] == 4
        return seen

    first = jets_of_a_turn()
    assert first == jets_of_a_turn()
    assert [len(batch) for batch in first] == [4, 4, 4]  # one to warm up, one a turn
    assert len({*first[0], *first[1]}) == 8


def test_jets_are_padded_with_zeros_behind_their_constituents():
    values, offsets = torch.arange(6.0).reshape(3, 2), torch.tensor([0, 2, 2, 3])
    dense = padded(values, offsets, 3)
    expected = [[[0, 2, 0], [1, 3, 0]], [[0, 0, 0], [0, 0, 0]], [[4, 0, 0], [5, 0, 0]]]
    np.testing.assert_array_equal(dense, expected)


def test_operations_of_matrices_and_attention_are_counted():
    linear, queries = torch.nn.Linear(8, 4), torch.randn(2, 3, 5, 8, requires_grad=True)
    with Counter() as counter:
        torch.inference_mode()(linear)(torch.randn(10, 8))
    assert counter.operations == 2 * 10 * 8 * 4
    with Counter() as counter:
        total = torch.nn.functional.scaled_dot_product_attention(queries, queries, queries).sum()
        product = 2 * 2 * 3 * 5 * 5 * 8
        assert counter.operations == 2 * product  # q k and its product with v
        total.backward()
    assert counter.operations == (2 + 5) * product  # q k once more, and two products for each of the two


def test_failures_are_short():
    assert failure(MemoryError()) == "out of memory"
    assert failure(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")) == "out of memory"
    assert failure(ValueError("first\nlast")) == "ValueError: last"


def test_every_option_stands_in_the_page_of_benchmarks():
    options = re.findall(r'"--([a-z][\w-]*)"', (ROOT / "benchmarks/training.py").read_text())
    rows = re.findall(r"^\| `--([\w-]+)` \| ", (ROOT / "docs/benchmarks.md").read_text(), re.MULTILINE)
    assert set(rows) == set(options)


def test_every_script_stands_in_the_page_of_benchmarks():
    parts = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "def main" in path.read_text()}
    parts.discard("weaver_loader.py")  # run by loader.py
    assert parts == set(re.findall(r"^\| `(\w+\.py)` \| ", (ROOT / "docs/benchmarks.md").read_text(), re.MULTILINE))
