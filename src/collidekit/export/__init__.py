"""Export of a trained network as a bundle: a graph, its description, and rows to verify it where it is used."""
