"""A trained network as a bundle that proves itself where it is used: a graph, what it takes and gives, and events to check it with."""
