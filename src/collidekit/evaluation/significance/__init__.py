"""Significance of a signal after a cut or after relegation."""
