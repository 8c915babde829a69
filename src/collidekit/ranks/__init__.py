"""Training with several processes, each with a part of every batch: the results are those of one process, within rounding."""
