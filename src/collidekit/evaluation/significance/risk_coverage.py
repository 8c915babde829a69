"""Risk against coverage: the error rate of a classifier among its most certain rows."""

import numpy as np

from collidekit.evaluation.rows import Floats
from collidekit.inference.predictions import Predictions

POINTS = 500


def risk_coverage(predictions: Predictions) -> tuple[Floats, Floats]:
    """Return the fraction of rows kept (M,), and the fraction of these that are wrong (M,), as the least certain rows are removed one by one.

    El-Yaniv and Wiener, JMLR 11 (2010) 1605. Certainty is the probability of the most probable class; the probability of
    relegation reduces it.
    """
    known = predictions.labels >= 0
    p, weights = predictions.probabilities[known], predictions.weights[known].astype(np.float64)
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != predictions.labels[known])[order]
    kept = np.cumsum(weights[order])
    every = np.unique(np.linspace(0, len(order) - 1, POINTS).astype(int))[1:]
    return (kept / kept[-1])[every], (np.cumsum(weights[order] * wrong) / kept)[every]
