"""Bins of events and their labels."""

import numpy as np
import pytest

from collidekit.evaluation.dilepton.bins import of_counts


@pytest.mark.parametrize(("values", "lowest"), [([2, 3, 9], "2"), ([0, 1, 2, 9], "≤ 2")])
def test_the_text_of_the_lowest_bin_says_whether_it_holds_fewer(values: list[int], lowest: str) -> None:
    bins = of_counts("n_jets", "number of jets", np.array(values))
    assert bins.texts == (lowest, "3", "4", "5", "≥ 6")
    assert bins[0].tolist() == [value <= 2 for value in values]
    assert bins[4].tolist() == [value >= 6 for value in values]
