"""The metrics of benchmarks: one file for each kind, one line in the registry for each metric."""
