"""The report: one page with the results of a training."""
