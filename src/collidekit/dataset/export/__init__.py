"""Export of selected events as plain arrays for other tools: NPZ, ROOT, Parquet or HDF5."""

from collidekit.dataset.export.export import Exported, export_events

__all__ = ["Exported", "export_events"]
