"""Significance: what a cut or a relegator does for the search of a signal."""
