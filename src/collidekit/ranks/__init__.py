"""Training by several processes, each with a share of every batch: the numbers are those of one process, within rounding."""
