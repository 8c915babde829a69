"""Prediction with a bundle, by onnxruntime alone: nothing here, and nothing that it imports, needs torch."""
