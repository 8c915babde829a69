#!/bin/sh
# All checks that need a GPU, in under 8 minutes, written to one JSON: see docs/gpu.md.
#
#     benchmarks/gpu.sh [--output gpu.json] [--weaver weaver-venv/bin/python --file TRAIN.parquet]
#     benchmarks/gpu.sh --device cpu     the same script, small, where there is no GPU
#
# PYTHON names the interpreter of collidekit's environment.
cd "$(dirname "$0")/.." || exit 1
PYTHONPATH="src${PYTHONPATH:+:$PYTHONPATH}" exec "${PYTHON:-python}" benchmarks/gpu.py "$@"
