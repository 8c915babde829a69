"""The contracts of the frameworks that consume a graph: a file each."""

from collidekit.export.layouts.registry import LAYOUTS, find_layout

__all__ = ["LAYOUTS", "find_layout"]
