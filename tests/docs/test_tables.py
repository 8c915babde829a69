"""Every row of a table belongs to a table: a row after an empty line would be shown as it is written."""

import re

import pytest

from .test_pages import PAGES


@pytest.mark.parametrize("page", PAGES)
def test_every_row_of_a_table_is_below_a_header(page, prose):
    for block in re.findall(r"(?:^\| .*\n)+(?:^\|.*\n)*", prose[page] + "\n", re.MULTILINE):
        lines = block.splitlines()
        assert len(lines) > 1, lines[0]
        assert re.fullmatch(r"\|(?:\s*:?-+:?\s*\|)+", lines[1]), lines[0]
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
        assert len(columns) == 1, lines[0]
