"""Metrics, ROC curves, working points, plots and the report: numbers with errors, from weighted rows."""
