"""The contracts of the frameworks that consume a graph: a file each."""
