"""Several taggers beside one another: curves on the same rows, differences with errors, one report."""
