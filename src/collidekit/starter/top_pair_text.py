"""Text of an analysis file for dileptonic top pairs."""

from collections.abc import Iterator, Sequence
from typing import Any

from collidekit.starter.columns import Column
from collidekit.starter.recipe import TRAINING_OF_EVENTS
from collidekit.starter.rule import kind_of
from collidekit.starter.text import quoted, write_source
from collidekit.starter.top_pair import TopPairs

_MASS_BINS = "[380, 500, 800]"
_NEUTRINOS = ("nu_px", "nu_py", "nu_pz", "nubar_px", "nubar_py", "nubar_pz")


def write_top_pairs(found: TopPairs, source: dict[str, Any], files: Sequence[str], about: str) -> str:
    """Return the text of the whole analysis file."""
    parts = [
        _head(found, source, files, about),
        _variables(found),
        _truth(found),
        _dilepton(found),
        _inputs(found),
        _rest(found),
    ]
    return "\n\n".join("\n".join(part) for part in map(list, parts) if part) + "\n"


def _head(found: TopPairs, source: dict[str, Any], files: Sequence[str], about: str) -> Iterator[str]:
    yield f"# {about}"
    yield "# Dileptonic top pairs: the jet of each top, and both neutrinos. Guessed from the content of the files; read it once. Then run:"
    yield "#   collidekit check THIS_FILE     show the content of the files and find problems"
    yield "#   collidekit run THIS_FILE       train, compare with classical methods and write the report"
    for note in found.truth.notes:
        yield f"# {note[0].upper()}{note[1:]}."
    yield ""
    yield from write_source(source)
    yield "files:"
    yield f"  training: [{', '.join(quoted(file, True) for file in files)}]"
    yield "  # test: [test.root]   # files of the test set; without this line, the test set is a part of the training files"
    yield ""
    yield f"selection: {quoted(found.selection)}"


def _variables(found: TopPairs) -> Iterator[str]:
    yield "variables: # momenta in GeV"
    for name, expression in found.variables.named.items():
        yield f"  {name}: {quoted(expression)}"


def _truth(found: TopPairs) -> Iterator[str]:
    truth = found.truth
    if not truth.is_known:
        yield "# FILL IN: no truth of top pairs was found. A training needs targets (docs/analysis.md) or classes of events."
        yield "# With a target `tops`, the key `dilepton` compares the network with classical methods."
        yield "classes:"
        yield "  background: 0 == 1"
        yield "  signal: 0 == 1"
        return
    yield "targets:"
    if truth.indices:
        b, bbar = (quoted(text, True) for text in truth.indices)
        yield "  tops: # the top decays to the positive lepton, which is leptons[0]"
        yield "    collection: jets"
        yield "    parents:"
        yield f"      top: {{b: {b}}}"
        yield f"      antitop: {{b: {bbar}}}"
        yield '    partners: {top: "leptons[0]", antitop: "leptons[1]"}'
    if truth.neutrinos:
        yield "  neutrinos:"
        yield "    values:"
        yield from (f"      {name}: {quoted(text)}" for name, text in zip(_NEUTRINOS, truth.neutrinos, strict=True))
        yield "    unit: GeV"
    if truth.mass:
        yield "  pair:"
        yield f"    values: {{m_tt: {quoted(truth.mass, True)}}}"
        yield "    unit: GeV"
        yield "    scale: log"


def _dilepton(found: TopPairs) -> Iterator[str]:
    truth = found.truth
    if not found.can_compare:
        if truth.indices:
            yield "# No b tag of the jets was found. With one, the key `dilepton` compares the network with classical methods."
        return
    yield "dilepton: # comparison with classical methods"
    yield "  assignment: tops"
    yield "  charge: lep_charge"
    yield "  b_tag: jet_b_tag"
    yield "  met: [met_px, met_py]"
    if truth.neutrinos:
        yield "  neutrinos: neutrinos"
    if truth.mass:
        yield "  mass: m_tt"
    if truth.momenta:
        yield "  truth: # used for the comparison of methods"
        yield from (f"    {role}: {_flow(parts)}" for role, parts in truth.momenta.items())
    if found.spin_weights:
        yield f"  spin_weights: {{{', '.join(f'{name}: {quoted(text, True)}' for name, text in found.spin_weights.items())}}}"
        yield f"  mass_bins: {_MASS_BINS}"
    if found.given:
        yield "  given: # neutrinos of other tools in the file"
        yield from (f"    {name}: {_flow(parts)}" for name, parts in found.given.items())


def _flow(texts: Sequence[str]) -> str:
    return f"[{', '.join(quoted(text, True) for text in texts)}]"


def _inputs(found: TopPairs) -> Iterator[str]:
    jets, leptons, met = found.jets, found.leptons, found.met
    yield "inputs:"
    yield "  jets:"
    yield f"    limit: {found.limit}"
    yield f"    order: {jets.momentum.pt}"
    if jets.where:
        yield f"    where: {jets.where}  # the other entries are padding"
    yield f"    momenta: {_flow([jets.momentum.px, jets.momentum.py, jets.momentum.pz, jets.energy])}"
    yield "    pairs: {leptons: [log_mass, delta_r]}  # mass and distance of each jet with each lepton"
    yield "    features:"
    yield from _kinematics("jet", jets.momentum.pt, jets.momentum.eta, jets.momentum.phi, jets.energy)
    if jets.b_tag:
        yield f"      - {_feature('jet_b_tag', jets.b_tag, found.variables.columns.get(jets.b_tag_column))}"
    yield "  leptons:"
    yield "    limit: 2"
    yield f"    order: {leptons.charge}  # the positive lepton first"
    if leptons.where:
        yield f"    where: {leptons.where}"
    yield f"    momenta: {_flow([leptons.momentum.px, leptons.momentum.py, leptons.momentum.pz, leptons.energy])}"
    yield "    features:"
    yield from _kinematics("lep", leptons.momentum.pt, leptons.momentum.eta, leptons.momentum.phi, leptons.energy)
    yield f"      - {{name: lep_charge{_different('lep_charge', leptons.charge)}, kind: integer, attackable: false}}"
    if leptons.muon:
        yield f"      - {{name: lep_muon{_different('lep_muon', leptons.muon)}, kind: flag, attackable: false}}"
    yield "  event:"
    yield "    features:"
    yield f"      - {{name: met_logpt, expression: {quoted(f'log({met.pt})', True)}, unit: log GeV}}"
    for name, text in (("met_px", met.px), ("met_py", met.py)):
        yield f"      - {{name: {name}{_different(name, text)}, unit: GeV}}"
    yield f"      - {{name: {found.n_jets}, kind: integer}}"
    for name in found.more_of_event:
        yield f"      - {{name: n_bjets{_different('n_bjets', name)}, kind: integer}}"
    yield f"      - {found.distance}"


def _kinematics(prefix: str, pt: str, eta: str, phi: str, energy: str) -> Iterator[str]:
    yield f"      - {{name: {prefix}_logpt, expression: {quoted(f'log({pt})', True)}, unit: log GeV}}"
    yield f"      - {{name: {prefix}_loge, expression: {quoted(f'log({energy})', True)}, unit: log GeV}}"
    yield f"      - {_feature(f'{prefix}_eta', eta)}"
    yield f"      - {{name: {prefix}_cosphi, expression: {quoted(f'cos({phi})', True)}}}"
    yield f"      - {{name: {prefix}_sinphi, expression: {quoted(f'sin({phi})', True)}}}"


def _feature(name: str, expression: str, column: Column | None = None) -> str:
    kind = kind_of(column.finite) if column else "continuous"
    more = f", kind: {kind}" if kind != "continuous" else ""
    same = not _different(name, expression) and not more
    return name if same else f"{{name: {name}{_different(name, expression)}{more}}}"


def _different(name: str, expression: str) -> str:
    return "" if name == expression else f", expression: {quoted(expression, True)}"


def _rest(found: TopPairs) -> Iterator[str]:
    if found.weight:
        yield f"weight: {quoted(found.weight)}  # weight of each event, for training and evaluation"
    yield f"spectators: [{found.n_jets}, {found.distance}]  # stored with the predictions"
    if found.other_weights:
        yield f"# Other weights in the file: {', '.join(found.other_weights)}"
    if found.event:
        yield f"event: [{', '.join(found.event)}]  # a hash of it assigns an event to the training or the validation set"
    else:
        yield "# No event number was found: a hash of the inputs assigns an event to the training or the validation set."
    yield ""
    yield from TRAINING_OF_EVENTS.rstrip().split("\n")
