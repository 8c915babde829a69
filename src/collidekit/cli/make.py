"""The verb that makes samples."""

from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.app import MAKE, verb


@verb(MAKE)
def simulate(
    sample: Annotated[
        str, typer.Argument(help="top-tagging, jet-flavour, ttbar-dilepton, ttbar-hadronic, tth-semileptonic or moons.", show_default=False)
    ],
    jets: Annotated[
        int, typer.Option("--jets", "--events", "-n", help="How many jets; events of ttbar, ttH and moons.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", show_default=False,
                           help="The file to write: .root; .h5 for ttbar-hadronic and tth-semileptonic; for jet-flavour also .json.gz.")
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="A ROOT file of the sample jet-flavour: its first jets in place of new ones.",
                                  show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same rows, with any number of workers.")] = 1,
    workers: Annotated[int, typer.Option(help="Processes.")] = 1,
    mantissa_bits: Annotated[
        int | None, typer.Option(help="Keep so many bits of each float of lists, for smaller files (1 to 23).",
                                 show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the sample: --set noise=0.3. May be repeated.",
                                       metavar="NAME=VALUE", show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Simulate jets or top pairs with Pythia and FastJet, and a parametrised detector; or two moons with a mass.

    All but moons need the extra packages of [bold]pip install 'collidekit\\[simulate]'[/bold].

    Example: [cyan]collidekit simulate top-tagging --jets 10000 -o jets.root --workers 4[/cyan]

    Settings of ttbar-dilepton: energy (TeV, 13), taus (1: W to tau, too). Settings of ttbar-hadronic and tth-semileptonic: energy,
    max_jets (10 and 12), min_bjets (0). Settings of moons: noise, angle, min_mass, max_mass, mean, width, beta.

    Writes one ROOT file with the TTree [bold]tree[/bold], which appears under its name only when it is complete. ttbar-hadronic
    and tth-semileptonic are written as HDF5 in SPANet's layout, under a name that ends in .h5 or .hdf5. Jets of jet-flavour under a name that ends in
    .json.gz are JSON lines, in the layout of the public data of arXiv 1607.08633.
    """
    from collidekit.simulation import simulate as make
    from collidekit.simulation.samples import find_sample, parse_settings

    written = make(sample, out, jets, seed, workers, mantissa_bits, parse_settings(settings or []), source)
    typer.echo(f"{jets:,} {sample} {find_sample(sample).rows}: {written}")
