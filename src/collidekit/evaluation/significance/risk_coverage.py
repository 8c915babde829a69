"""Risk against coverage: how wrong a classifier is about the rows that it is surest of."""

import numpy as np

from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

POINTS = 500


def risk_coverage(predictions: Predictions) -> tuple[Floats, Floats]:
    """Share of rows kept (M,), and share of these that are wrong (M,), as the least certain rows are left out one by one.

    El-Yaniv and Wiener, JMLR 11 (2010) 1605. Certainty is the probability of the most probable class; what is relegated
    has lost it.
    """
    known = predictions.labels >= 0
    p, weights = predictions.probabilities[known], predictions.weights[known].astype(np.float64)
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != predictions.labels[known])[order]
    kept = np.cumsum(weights[order])
    every = np.unique(np.linspace(0, len(order) - 1, POINTS).astype(int))[1:]
    return (kept / kept[-1])[every], (np.cumsum(weights[order] * wrong) / kept)[every]
