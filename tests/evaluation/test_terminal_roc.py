"""The text plot of a ROC curve shows the points at the right positions."""

import numpy as np

from collidekit.evaluation.classification.roc_result import RocResult, measure_roc
from collidekit.evaluation.terminal_roc import terminal_roc


def curve(name: str, separation: float, rows: int = 3000) -> RocResult:
    random = np.random.default_rng(1)
    truth = np.repeat([True, False], rows)
    scores = np.concatenate([random.normal(separation, 1, rows), random.normal(0, 1, rows)])
    return measure_roc(name, scores, truth, np.ones(2 * rows), replicates=20, signal="b", background="light")


def test_marks_stand_at_the_efficiencies() -> None:
    good, bad = curve("good", 2.5), curve("bad", 0.0)
    lines = terminal_roc([good, bad], width=88, height=30).splitlines()
    rows = [line[8:].ljust(80) for line in lines[1:31]]
    decades = 3  # 3000 rows: down to 3/3000
    for column in (20, 40, 60):
        efficiency = (column + 0.5) / 80
        for result, mark in ((good, "*"), (bad, "o")):
            expected = result.curve.background_efficiencies[result.curve.point(efficiency)]
            found = next((row for row in range(30) if rows[row][column] == mark), None)
            depth = -np.log10(expected) / decades * 30 if expected > 0 else 99
            assert found == int(depth) if depth < 30 else found is None
    assert lines[1].startswith("     1 |")
    assert lines[31].startswith("  1e-3 +---")
    assert max(map(len, lines[:-2])) <= 88
    assert "* good (b against light), AUC 0.9" in lines[-2]
    assert "o bad (b against light), AUC 0.5" in lines[-1]


def test_it_is_plain_ascii_and_fits_a_small_terminal() -> None:
    text = terminal_roc([curve("good", 1.0, 5)], width=10, height=2)
    assert all(line.isascii() for line in text.splitlines() if "AUC" not in line)
    assert len(text.splitlines()) == 1 + 6 + 3 + 1
