"""The model card of a bundle: inputs, outputs, agreement with the checkpoint, and use."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from collidekit.bundle.card import escape_markdown, inline_code
from collidekit.export.agreement import Agreement
from collidekit.export.latency import Latency
from collidekit.export.sofie import describe_sofie
from collidekit.files import write_text
from collidekit.runtime.schema import Schema


def write_readme(path: Path, schema: Schema, agreement: Agreement, latency: Latency, notes: Sequence[str]) -> Path:
    """Write the model card as Markdown."""
    environment = Environment(
        loader=PackageLoader("collidekit.export"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"text": escape_markdown, "code": inline_code, "number": lambda value: f"{float(value):g}"}
    return write_text(
        path,
        environment.get_template("readme.md.j2").render(
            schema=schema,
            agreement=agreement,
            latency=latency,
            notes=notes,
            analysis=schema.analysis,
            sofie=describe_sofie(schema.operators),
        ),
    )
