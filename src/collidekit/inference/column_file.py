"""Files with columns of rows, in Parquet or ROOT format."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.errors import CollidekitError
from collidekit.files import remove_abandoned, replacing
from collidekit.sealed import seal

Array = np.ndarray[Any, Any]


def write_columns(path: Path, columns: Mapping[str, Array], tree: str, metadata: Mapping[str, Any]) -> Path:
    """Write columns (N,) as ``.parquet`` with metadata, or as a tree of ``.root``; the file appears when it is complete."""
    if path.suffix not in (".parquet", ".root"):
        raise CollidekitError(f"{path}: {tree} are written as .parquet or .root, not {path.suffix!r}")
    remove_abandoned(path)
    with replacing(path) as temporary:
        if path.suffix == ".root":
            import uproot

            with uproot.recreate(temporary) as file:
                file.mktree(tree, {name: values.dtype for name, values in columns.items()})
                file[tree].extend(columns)
        else:
            table = pa.table(dict(columns)).replace_schema_metadata({"collidekit": json.dumps(seal(dict(metadata)))})
            pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
    return path
