#!/bin/sh
# Run all checks that need a GPU in less than 8 minutes, and write one JSON file: see docs/gpu.md.
#
#     benchmarks/gpu.sh [--output gpu.json] [--weaver weaver-venv/bin/python --file TRAIN.parquet]
#     benchmarks/gpu.sh --device cpu     a small version of the checks, without a GPU
#
# The variable PYTHON names the interpreter of collidekit's environment.
cd "$(dirname "$0")/.." || exit 1
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" benchmarks/gpu.py "$@"
