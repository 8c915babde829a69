"""Classification: ROC curves, working points, metrics and comparisons, with errors, from weighted rows."""
