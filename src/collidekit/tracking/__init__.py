"""Records of a training for other programs: TensorBoard, MLflow, Weights & Biases, or a user's tracker."""

from collidekit.tracking.base import Tracker, Tracking

__all__ = ["Tracker", "Tracking"]
