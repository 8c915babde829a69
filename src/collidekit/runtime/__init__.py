"""Prediction with a bundle and onnxruntime. No module here, or that it imports, needs torch."""
