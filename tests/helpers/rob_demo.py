"""A benchmark of ROB in the form of its demo, with its pickled data, and a submission in the form of its template."""

import pickle
from pathlib import Path

import numpy as np

BENCHMARK = """\
workflow:
  files:
    inputs: [code/, data/]
    outputs: [results/yProbBest.pkl, results/results.json, results/analyze.log]
  parameters:
    preproc: $[[preproc]]
    tagger: $[[tagger]]
  steps:
    - name: pre-processor
      files: {inputs: [code/, data/], outputs: [results/]}
      action: $[[preproc]]
    - name: top-tagger
      files: {inputs: [code/, data/, results/], outputs: [results/yProbBest.pkl]}
      action: $[[tagger]]
    - name: model-evaluater
      files: {inputs: [code/, data/, results/yProbBest.pkl], outputs: [results/results.json]}
      action:
        environment: 'toptaggerdemo:0.2.0'
        commands: ['python code/compute-score.py data/evaluate/ results/']
outputs:
  - source: results/results.json
    title: Scores
    caption: Scores of the tagger
    format: {type: json}
postproc:
  workflow:
    steps: [{name: update-results}]
    parameters: {rundir: runs}
  inputs: {files: [results/yProbBest.pkl], runs: runs/}
  outputs: []
parameters:
  - name: preproc
    label: Pre-Processing
    dtype: string
    dtype: actor
    defaultValue:
      - container
      - environment: 'toptaggerdemo:0.2.0'
        commands: ['python code/preprocess-dataset.py data/test_jets.pkl results/']
    index: 0
  - name: tagger
    label: Tagger
    dtype: actor
    defaultValue:
      - container
      - environment: 'toptaggerdemo:0.2.0'
        commands: ['python code/your_script.py results/processed_test_jets.pkl results/']
    index: 1
  - {name: depth, label: Depth, dtype: int, defaultValue: 4, range: '[1,10]', index: 2}
results:
  file: results/results.json
  schema:
    - {name: bg_reject, label: Background rejection (at 50%), dtype: float}
    - {name: bg_reject_std, label: Background rejection (STD), dtype: float}
    - {name: auc, label: AUC, dtype: float}
    - {name: auc_std, label: AUC (STD), dtype: float}
  orderBy:
    - {name: bg_reject, sortDesc: true}
    - {name: bg_reject_std, sortDesc: false}
"""
FLOWSERV = """\
name: Top Tagger Demo
description: The landscape of top taggers
instructions: instructions.md
files:
  - {source: benchmark/code, target: code}
specfile: benchmark.yaml
"""
TAGGER = """\
import argparse
import pickle

import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("-d", "--datafile", required=True)
parser.add_argument("-w", "--weights", required=True)
parser.add_argument("-o", "--outfile", required=True)
given = parser.parse_args()
scale = float(open(given.weights).read())
data = pickle.load(open(given.datafile, "rb"), encoding="latin-1")
mass = np.array([np.sqrt(max(jet[0][:, 0].sum() ** 2 - (jet[0][:, 1:].sum(axis=0) ** 2).sum(), 0)) for jet in data])
runs = np.stack([np.exp(-((mass - 173 - run) / scale) ** 2) for run in range(3)])
pickle.dump(runs, open(given.outfile, "wb"))
"""
COPY = """\
import argparse
import shutil

parser = argparse.ArgumentParser()
parser.add_argument("-t", "--testdata", required=True)
parser.add_argument("-o", "--outfile", required=True)
given = parser.parse_args()
shutil.copyfile(given.testdata, given.outfile)
"""


def make_jets(rows: int = 300) -> tuple[list[list[object]], np.ndarray]:
    """Jets as the demo pickles them, whose mass is near that of the top for label 1."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, rows)
    jets = []
    for label in labels:
        mass = rng.normal(173, 25) if label else rng.gamma(3, 40)
        parts = rng.integers(2, 6)
        share = rng.dirichlet(np.ones(parts))
        momentum = np.zeros((parts, 4))
        momentum[:, 1] = 600 * share
        momentum[:, 0] = np.sqrt(600**2 + mass**2) * share
        jets.append([momentum, int(label)])
    return jets, labels


def write_demo(folder: Path, rows: int = 300, labels_before: int = 400_000) -> Path:
    """Write the demo: benchmark file, flowserv.yaml, pickled jets and labels of the whole test set."""
    (folder / "data" / "evaluate").mkdir(parents=True)
    (folder / "benchmark.yaml").write_text(BENCHMARK)
    (folder / "flowserv.yaml").write_text(FLOWSERV)
    (folder / "instructions.md").write_text("Write results/yProbBest.pkl.\n")
    jets, labels = make_jets(rows)
    (folder / "data" / "test_jets.pkl").write_bytes(pickle.dumps(jets, protocol=2))
    whole = [*([0] * labels_before), *labels.tolist()]
    (folder / "data" / "evaluate" / "labels.pkl").write_bytes(pickle.dumps(whole, protocol=2))
    return folder


def write_template(folder: Path, yaml: str) -> Path:
    """Write a submission in the form of the template of the demo."""
    for name, text in {
        "submission.yaml": yaml, "toptagger/__init__.py": "", "toptagger/mytagger.py": TAGGER, "toptagger/mypreproc.py": COPY,
        "toptagger/do_nothing.py": "", "mydata/my_data.txt": "30",
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
