"""Benchmarks as bundles for other platforms, with the same scorer inside."""
