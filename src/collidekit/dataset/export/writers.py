"""Exported events in each format: padded arrays in NPZ and HDF5, jagged lists in ROOT and Parquet."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from collidekit.dataset.export.columns import METADATA, Column, of_collection
from collidekit.dataset.export.table import Table
from collidekit.readers.exported import KEY

TREE = "events"


def write_npz(table: Table, path: Path) -> None:
    """Write one array for each column, a block of rows at a time; lists are padded to (N, limit)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for column in table.columns:
            dtype = table.dtype(column)
            header = {
                "descr": np.lib.format.dtype_to_descr(dtype),
                "fortran_order": False,
                "shape": _shape(table, column),
            }
            with archive.open(zipfile.ZipInfo(f"{column.name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for block in table.padded(column) if column.collection else table.values(column):
                    member.write(np.ascontiguousarray(block, dtype=dtype).data.cast("B"))
        with archive.open(zipfile.ZipInfo(f"{METADATA}.npy"), "w") as member:
            np.lib.format.write_array(member, np.array(json.dumps(table.metadata)), allow_pickle=False)


def write_hdf5(table: Table, path: Path) -> None:
    """Write one dataset for each column, with lists padded to (N, limit)."""
    import h5py

    with h5py.File(path, "w") as file:
        for column in table.columns:
            dataset = file.create_dataset(
                column.name,
                _shape(table, column),
                table.dtype(column),
                chunks=True,
                compression="gzip",
                compression_opts=1,
            )
            start = 0
            for block in table.padded(column) if column.collection else table.values(column):
                dataset[start : start + len(block)] = block
                start += len(block)
        file.create_dataset(METADATA, data=json.dumps(table.metadata), dtype=h5py.string_dtype())


def _shape(table: Table, column: Column) -> tuple[int, ...]:
    return (table.rows, table.limits[column.collection]) if column.collection else (table.rows,)


def write_root(table: Table, path: Path) -> None:
    """Write a TTree; the lists of a collection share one counter, the column with their lengths."""
    import awkward as ak
    import uproot

    counters = {_group(name): table.count_column(name).name for name in table.limits}
    written = [column for column in table.columns if column.name not in counters.values()]
    kinds: dict[str, object] = {}
    for name in table.limits:
        fields = {c.name: ak.types.NumpyType(str(table.dtype(c))) for c in of_collection(written, name)}
        kinds[_group(name)] = ak.types.ListType(ak.types.RecordType(list(fields.values()), list(fields)))
    flat = [column for column in written if not column.collection]
    kinds |= {column.name: table.dtype(column) for column in flat}
    with uproot.recreate(path) as file:
        tree = file.mktree(
            TREE, kinds, counter_name=lambda group: counters[group], field_name=lambda group, field: str(field)
        )
        for block in table.blocks():
            lists = {
                _group(name): ak.unflatten(
                    ak.zip({c.name: block[c.name] for c in of_collection(written, name)}),
                    block[table.count_column(name).name],
                )
                for name in table.limits
            }
            tree.extend({**lists, **{column.name: block[column.name] for column in flat}})
        file[METADATA] = json.dumps(table.metadata)


def _group(collection: str) -> str:
    """Return the key of a collection for uproot, which is never the name of a column."""
    return f"lists of {collection}"


def write_parquet(table: Table, path: Path) -> None:
    """Write a table with a list column for each feature of a collection."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = []
    for column in table.columns:
        kind = pa.from_numpy_dtype(table.dtype(column))
        fields.append(pa.field(column.name, pa.list_(kind) if column.collection else kind))
    schema = pa.schema(fields, metadata={KEY: json.dumps(table.metadata)})
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for block in table.blocks():
            arrays = []
            for column in table.columns:
                values = pa.array(block[column.name])
                if column.collection:
                    counts = block[table.count_column(column.collection).name]
                    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
                    values = pa.ListArray.from_arrays(pa.array(offsets), values)
                arrays.append(values)
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


WRITERS: dict[str, Callable[[Table, Path], None]] = {
    ".npz": write_npz, ".root": write_root, ".parquet": write_parquet, ".h5": write_hdf5, ".hdf5": write_hdf5,
}  # fmt: skip
PADDED = (".npz", ".h5", ".hdf5")
