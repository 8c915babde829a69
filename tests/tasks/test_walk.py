"""Every parameter has an effect, is an error, or is listed here with the reason why it may have no effect."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import law
import pytest
from parameters import OF_FILES, OF_FINE_TUNING, SIGNIFICANT
from pydantic import BaseModel
from typer.main import get_command

from collidekit.analysis.schema import Analysis
from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.tasks import compare, export, grid, importance, parts, report, robustness, search, significance
from collidekit.tasks.assignment import AssignmentTask
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.pipelines import Pipeline
from collidekit.tasks.reconstruction import ReconstructionTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.to_report import settable
from collidekit.tasks.training import TrainingTask
from collidekit.training.config import TrainingConfig

assert all(
    (compare, export, grid, importance, parts, report, robustness, search, significance)
)  # so that all tasks are known
FILES: dict[str, Any] = {
    "config": "toy.yaml",
    "filelist": ("train.root",),
    "test_filelist": ("test.parquet",),
    "over": "batch_size=32,64",
    "under": ("fgsm:0.1",),
    "space": "space.yaml",
}
MERIT = "figure_of_merit: {variable: jet_mass, window: [0, 99], signal: [signal], events: 99, signal_fraction: 0.1}\n"
NUMBERS = "targets: {numbers: {values: {twice: jet_mass * 2}, unit: GeV}}\n"

HOW_THE_WORK_IS_DONE = {
    "verbose": "what is printed", "workflow": "where the work is done", "coffea_worker": "the same shards", "executor": "the same shards",
    "scheduler": "the same shards", "jobs": "the same shards and predictions", "n_threads": "stands in run.json", "log_file": "where is printed",
    "resume_training": "the same training, from its state or from the start", "resume_epoch": "the same training, from there",
    "terminal_plot": "what is printed", "yes": "whether many trainings are an error",
    "devices": "the same numbers, by several ranks", "nodes": "the same numbers, by several ranks",
    "track": "who records it", "track_files": "who records it", "track_online": "who records it",
    "trials": "how far the search goes", "storage": "where trials are kept", "workers": "how many trials at a time",
    "heartbeat": "when a trial is taken for lost",
}  # fmt: skip
INTERACTIVE = {"print_deps", "print_status", "print_output", "remove_output", "fetch_output"}
ELSEWHERE = OF_FILES | OF_FINE_TUNING | {"runs"}
"""Parameters that name files; tested in test_fine_tuning.py, test_adversarial.py, test_attacks.py and test_compare.py."""
MORE: list[dict[str, Any]] = [
    {"bins": 7}, {"efficiencies": ("0.5",)}, {"explain": True}, {"explain_rows": 77}, {"explain_repeats": 7},
    {"scores": ("signal",)}, {"variants": ("disco",)}, {"attacks": ("shift",)}, {"magnitudes": ("0.3",)},
    {"methods": ("ellipse",)}, {"shown_magnitude": 0.3}, {"robustness_rows": 77}, {"config": "other.yaml"},
    {"layout": "triton"}, {"precision": "int8"}, {"layout_options": ("label.signal=s",)}, {"opset": 18}, {"bundle_name": "other"}, {"checked_rows": 77}, {"over": "batch_size=16,32"},
    {"space": "other_space.yaml"}, {"sampler": "random"}, {"sampler_seed": 7}, {"metric": "val_accuracy"}, {"prune": False},
    {"checkpoint": ("train.root",), "allow_training_rows": True},
    {"under": ("noise:0.1",)}, {"names": ("a", "b")}, {"taggers": ("jet_mass",)}, {"f_c": 0.3},
    {"prune_warmup": 2}, {"pruner": "halving"}, {"part": "2/2"}, {"study": "other"}, {"metric": "val_accuracy", "direction": "minimize"},
]  # fmt: skip
ALL = [*SIGNIFICANT, *MORE]
LAST = {name: entry for entry in ALL for name in entry} | {list(entry)[-1]: entry for entry in ALL}
"""A value of each parameter, with the parameters that it needs."""


def tasks(base: type[AnalysisTask] = AnalysisTask) -> list[type[AnalysisTask]]:
    """Return all tasks, except pipelines, which have no output."""
    found = [] if base.exclude_index or issubclass(base, Pipeline) else [base]
    for task in base.__subclasses__():
        found += [other for other in tasks(task) if other not in found]
    return found


def folder(task: type[AnalysisTask], **given: Any) -> Path | None:
    """Return the folder of the output; None if the parameters are an error before anything is written."""
    known = {name for name, _ in task.get_params()}
    try:
        made = task(**{name: value for name, value in {**FILES, **given}.items() if name in known})
        made.look_first()
        return made.folder
    except CollidekitError:
        return None


@pytest.mark.parametrize("task", tasks(), ids=lambda task: task.__name__)
def test_every_parameter_of_every_task(place: Path, task: type[AnalysisTask]) -> None:
    of_events = task in (AssignmentTask, ReconstructionTask)
    (place / "toy.yaml").write_text(BASE if of_events else (place / "toy.yaml").read_text() + MERIT + NUMBERS)
    (place / "space.yaml").write_text("learning_rate: [0.001, 0.002]")
    (place / "other_space.yaml").write_text("learning_rate: [0.001, 0.003]")
    (place / "other.yaml").write_text((place / "toy.yaml").read_text().replace("part_r", "part_s"))
    assert folder(task) is not None
    for name, parameter in task.get_params():
        if name in INTERACTIVE | ELSEWHERE | {"filelist", "test_filelist"}:
            continue
        if name in HOW_THE_WORK_IS_DONE:
            assert not parameter.significant, name
            continue
        assert parameter.significant, name
        given = LAST[name]
        beside = {key: value for key, value in given.items() if key != name}
        without, changed = folder(task, **beside), folder(task, **given)
        assert changed is None or changed != without, f"{task.__name__}: {name} = {given[name]!r} does nothing"


def test_every_setting_of_a_training_is_a_parameter_and_may_be_set_in_the_command() -> None:
    parameters = {name for name, _ in TrainingTask.get_params()}
    assert set(TrainingConfig.model_fields) <= parameters
    assert set(settable()) >= parameters - INTERACTIVE - {
        "config", "filelist", "log_file", "resume_training", "resume_epoch", "workflow"
    }  # fmt: skip


def test_every_option_of_every_verb_is_read() -> None:
    """Each option is read by the body of the verb or by a callback."""
    for name, command in _verbs(get_command(app).commands):  # type: ignore[attr-defined]
        function = inspect.unwrap(command.callback)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        body = ast.Module(tree.body[0].body, [])  # type: ignore[attr-defined]
        used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
        for parameter in command.params:
            by_callback = parameter.name in ("output", "store", "trust_code", "quiet")
            assert by_callback or parameter.name in used, f"{name}: {parameter.name} is not read"


def _verbs(commands: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield all verbs by name, also in groups such as ``benchmark``."""
    for name, command in commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command.commands)
        else:
            yield name, command


def test_what_run_names_are_parameters_of_the_report() -> None:
    from collidekit.cli import do

    tree = ast.parse(textwrap.dedent(inspect.getsource(do.run)))
    named = next(
        node.value for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
    )
    keys = {key.value for key in named.keys if isinstance(key, ast.Constant)}
    assert keys <= {name for name, _ in ReportTask.get_params()}
    assert len(keys) > 10


@pytest.mark.parametrize(
    "verb", ["run", "predict", "calibrate", "explain", "significance", "robustness", "publish", "trace"]
)
def test_verbs_that_load_checkpoints_take_trust_code(verb: str) -> None:
    assert "trust_code" in {parameter.name for parameter in get_command(app).commands[verb].params}  # type: ignore[attr-defined]


BASE = """
source: {tree: tree}
selection: jet_pt > 1
variables: {part_r: "hypot(part_x, part_y)"}
classes: {background: label == 0, signal: label == 1}
inputs:
  constituents:
    limit: 64
    order: part_e
    where: part_e > 0
    momenta: [part_x, part_y, part_e, part_e]
    coordinates: [part_x, part_y]
    features: [part_x, part_r, {name: part_d0, default: -9, scaling: robust, bounds: [-9, 9]}]
  jet: {features: [jet_pt]}
  leptons: {limit: 2, momenta: [part_x, part_x, part_e, part_e], features: [{name: lep_q, expression: part_d0}]}
targets:
  flip: {collection: constituents, classes: {up: part_x > 0, down: part_x <= 0}, weight: 2}
  pair: {collection: constituents, same: part_x * 0, weight: 4}
  numbers: {values: {v: jet_mass * 2}, unit: GeV, scale: robust, loss: mae, weight: 5}
  nus: {values: {n1: label, n2: label, n3: label, n4: label, n5: label, n6: label}}
  tops: {collection: constituents, parents: {a: {b: label * 0}, c: {b: {index: label - 2}}}, partners: {a: "leptons[0]"}, weight: 7}
  move: {values: {m_px: label, m_py: label, m_pz: label}, unit: GeV, w_mass: {weight: 0.1, leptons: ["leptons[0]"]}}
  some: {values: {s: label}, estimate: quantiles, quantiles: [0.1, 0.5, 0.9]}
  bars: {values: {h: label}, estimate: binned, bins: 5}
  flow: {values: {f_px: label, f_py: label, f_pz: label}, unit: GeV, estimate: flow, draws: 50, on_shell: ["leptons[0]"]}
  more: {collection: constituents, parents: {p: {x: label, y: label}}, symmetries: [[p.x, p.y]]}
dilepton:
  {assignment: tops, leptons: leptons, charge: lep_q, b_tag: part_x, met: [jet_pt, jet_pt], neutrinos: nus, mass: v,
  truth: {top: [label, 1, 1, 1], antitop: [label, 2, 2, 2], w_plus: [label, 3, 3, 3], w_minus: [label, 4, 4, 4],
  lepton_plus: [label, 5, 5, 5], lepton_minus: [label, 6, 6, 6]}, spin_weights: {a: weight, b: label}, mass_bins: [300],
  given: {tool: [label, label, label, 7, 7, 7]}}
weight: weight
processes: {toys: {files: "*.root", weight: 2, selection: jet_pt > 2}, others: {files: "*.parquet"}}
class_weights: {signal: 2}
units: {jet_mass: GeV}
spectators: [jet_mass, jet_pt]
event: [event]
kinematics: {jet_pt: [0, 40, 60, 80, 200], reference: signal}
discriminators: {SvsB: {signal: signal, background: background}}
working_points: [0.1]
figure_of_merit: {variable: jet_mass, window: [0, 99], signal: [signal], events: 99, signal_fraction: 0.1}
training: {model_name: pfn, epochs: 2}
recipes: {mlp: {epochs: 3}}
"""
CHANGES: dict[str, tuple[str, str]] = {
    "Analysis.source": ("source: {tree: tree}", ""),
    "Source.format": ("{tree: tree}", "{tree: tree, format: csv}"), "Source.tree": ("{tree: tree}", "{tree: other}"),
    "Source.layout": ("{tree: tree}", "{tree: tree, layout: [a, b]}"),
    "Analysis.rows": ("selection:", "rows: part\nselection:"),
    "Analysis.members": ("selection:", "rows: jet\nmembers: {part: part_e}\nselection:"),
    "Analysis.processor": ("selection:", "processor: nothing.py:Nothing\nselection:"),
    "Analysis.selection": ("jet_pt > 1", "jet_pt > 2"), "Analysis.variables": ("hypot(part_x, part_y)", "part_x + part_y"),
    "Analysis.classes": ("label == 1", "label > 0"), "Analysis.inputs": ("jet: {features: [jet_pt]}", "jet: {features: [jet_mass]}"),
    "Collection.limit": ("limit: 64", "limit: 63"), "Collection.order": ("order: part_e", "order: part_x"),
    "Collection.where": ("part_e > 0", "part_e > 1"), "Collection.momenta": ("[part_x, part_y, part_e,", "[part_y, part_x, part_e,"),
    "Collection.coordinates": ("coordinates: [part_x, part_y]", "coordinates: [part_y, part_x]"),
    "Collection.features": ("[part_x, part_r,", "[part_r, part_x,"), "Group.features": ("features: [jet_pt]", "features: [jet_pt, jet_mass]"),
    "Feature.name": ("{name: part_d0,", "{name: part_d1, expression: part_d0,"),
    "Feature.expression": ("{name: part_d0,", "{name: part_d0, expression: part_d0 + 1,"),
    "Feature.unit": ("{name: part_d0,", "{name: part_d0, unit: mm,"), "Feature.kind": ("{name: part_d0,", "{name: part_d0, kind: integer,"),
    "Feature.default": ("default: -9", "default: -8"), "Feature.bounds": ("[-9, 9]", "[-9, 8]"),
    "Feature.attackable": ("{name: part_d0,", "{name: part_d0, attackable: false,"), "Feature.scaling": ("robust", "none"),
    "Analysis.targets": ("  pair: {collection: constituents, same: part_x * 0, weight: 4}\n", ""),
    "MemberClasses.collection": ("flip: {collection: constituents", "flip: {collection: jet"),
    "MemberClasses.classes": ("up: part_x > 0,", "up: part_x > 1,"), "MemberClasses.weight": ("weight: 2}\n  pair", "weight: 3}\n  pair"),
    "SameOrigin.collection": ("pair: {collection: constituents", "pair: {collection: jet"),
    "SameOrigin.same": ("part_x * 0,", "part_y * 0,"), "SameOrigin.weight": ("weight: 4}", "weight: 3}"),
    "Regression.values": ("{v: jet_mass * 2}", "{v: jet_mass}"), "Regression.unit": ("unit: GeV, scale", "unit: MeV, scale"),
    "Regression.median_loss": ("estimate: quantiles,", "estimate: quantiles, median_loss: logcosh,"), "Regression.scale": ("scale: robust, loss", "scale: none, loss"), "Regression.loss": ("loss: mae", "loss: mse"),
    "Regression.weight": ("weight: 5}", "weight: 6}"), "Regression.estimate": ("{values: {s: label}, estimate: quantiles", "{values: {s: label}, estimate: value"),
    "Regression.quantiles": ("[0.1, 0.5, 0.9]", "[0.2, 0.5, 0.9]"), "Regression.bins": ("bins: 5", "bins: 6"), "Regression.draws": ("draws: 50", "draws: 51"),
    "Regression.on_shell": (', on_shell: ["leptons[0]"]', ""),
    "Regression.w_mass": (', w_mass: {weight: 0.1, leptons: ["leptons[0]"]}', ""), "WMass.weight": ("weight: 0.1", "weight: 0.2"),
    "WMass.leptons": ('leptons: ["leptons[0]"]', 'leptons: ["leptons[1]"]'),
    "Assignment.collection": ("tops: {collection: constituents", "tops: {collection: leptons"),
    "Assignment.parents": ("a: {b: label * 0}", "a: {b: label - 3}"), "Assignment.symmetries": (", symmetries: [[p.x, p.y]]", ""),
    "Assignment.partners": ('partners: {a: "leptons[0]"}', 'partners: {a: "leptons[1]"}'), "Assignment.weight": ("weight: 7}", "weight: 8}"),
    "Assignment.focal": ("weight: 7}", "weight: 7, focal: 2}"), "Assignment.exclusivity": ("weight: 7}", "weight: 7, exclusivity: 0.1}"),
    "Slot.index": ("{index: label - 2}", "{index: label - 3}"), "Slot.collection": ("{index: label - 2}", "{index: label - 2, collection: leptons}"),
    "Analysis.dilepton": (BASE[BASE.index("dilepton:") : BASE.index("weight: weight")], ""),
    "Dilepton.assignment": ("assignment: tops", "assignment: topz"), "Dilepton.leptons": ("leptons: leptons,", "leptons: constituents,"),
    "Dilepton.charge": ("charge: lep_q", "charge: lep_r"), "Dilepton.b_tag": ("b_tag: part_x", "b_tag: part_r"),
    "Dilepton.met": ("[jet_pt, jet_pt]", "[jet_pt, jet_mass]"), "Dilepton.neutrinos": (", neutrinos: nus", ""), "Dilepton.mass": (", mass: v", ""),
    "Dilepton.methods": ("{assignment: tops,", "{methods: {ellipse: {choice: m_lb}}, assignment: tops,"),
    "Collection.pairs": ("    coordinates: [part_x, part_y]\n", "    coordinates: [part_x, part_y]\n    pairs: {leptons: [mass]}\n"),
    "Dilepton.given": ("7, 7, 7]", "7, 7, 8]"), "Dilepton.spin_weights": ("b: label}", "b: label + 1}"), "Dilepton.mass_bins": ("[300]", "[301]"),
    "Dilepton.truth": ("2, 2, 2]", "2, 2, label]"), "DileptonTruth.top": ("1, 1, 1]", "1, 1, 9]"), "DileptonTruth.antitop": ("2, 2, 2]", "2, 2, 9]"),
    "DileptonTruth.w_plus": ("3, 3, 3]", "3, 3, 9]"), "DileptonTruth.w_minus": ("4, 4, 4]", "4, 4, 9]"),
    "DileptonTruth.lepton_plus": ("5, 5, 5]", "5, 5, 9]"), "DileptonTruth.lepton_minus": ("6, 6, 6]", "6, 6, 9]"),
    "Analysis.weight": ("weight: weight", "weight: weight * weight"), "Analysis.processes": ("toys:", "toy:"),
    "Process.files": ('"*.root"', '"*n.root"'), "Process.weight": ("weight: 2, selection", "weight: 3, selection"), "Process.selection": ("selection: jet_pt > 2}", "selection: jet_pt > 3}"),
    "Analysis.class_weights": ("class_weights: {signal: 2}", "class_weights: {signal: 3}"),
    "Analysis.spectators": ("[jet_mass, jet_pt]", "[jet_mass]"), "Analysis.event": ("event: [event]", "event: [event, label]"),
    "Analysis.kinematics": ("kinematics: {jet_pt: [0, 40, 60, 80, 200], reference: signal}", ""),
    "Kinematics.bins": ("60, 80", "60, 90"), "Kinematics.reference": ("reference: signal", "reference: background"),
    "Analysis.discriminators": ("SvsB:", "SvsQ:"), "Discriminator.signal": ("{signal: signal, background: background}}", "{signal: background, background: signal}}"),
    "Discriminator.background": ("background: background}}", "background: signal}}"),
    "Analysis.working_points": ("[0.1]", "[0.2]"), "Analysis.figure_of_merit": ("events: 99", "events: 98"),
    "Analysis.training": ("epochs: 2", "epochs: 4"),
    "Analysis.efficiencies": ("working_points:", "efficiencies: [0.7]\nworking_points:"),
    "Analysis.working_point_bins": ("working_points:", "working_point_bins: {jet_pt: [0, 99]}\nworking_points:"),
    "Analysis.labels": ("working_points:", "labels: {jet_pt: pT}\nworking_points:"),
    "Analysis.plots": ("working_points:", "plots: {experiment: CMS}\nworking_points:"),
    "Process.label": ("weight: 2, selection", "weight: 2, label: toys, selection"),
    "Feature.label": ("{name: part_d0,", "{name: part_d0, label: d0,"),
    "Discriminator.weights": ("background: background}}", "background: {background: 2}}}"),
    "Discriminator.form": ("background: background}}", "background: background, form: log}}"),
    "Discriminator.label": ("background: background}}", "background: background, label: D}}"),
    **{
        f"PlotSettings.{name}": ("working_points:", f"plots: {{{name}: {value}}}\nworking_points:")
        for name, value in {
            "experiment": "CMS", "status": "Internal", "simulation": "true", "energy": "13", "luminosity": "1", "note": "false",
            "style": "collidekit", "formats": "[svg]", "size": "2", "dpi": "99", "masses": "[jet_mass]",
        }.items()
    },
}  # fmt: skip
ONLY_LOOKS = {
    "Analysis.name": "is in the path", "Analysis.files": "the content of the files decides",
    "Files.training": "the content of the files decides", "Files.test": "the content of the files decides",
    "Analysis.units": "the text of axes: see the test of it below",
    "Analysis.recipes": "acts where that network is chosen: see below",
}  # fmt: skip


def hashes(place: Path, text: str, **given: Any) -> Any:
    (place / "walk").mkdir(exist_ok=True)
    path = place / "walk" / f"{abs(hash(text))}.yaml"
    path.write_text(text + "name: walk\n")
    try:
        settings = {**FILES, "config": str(path), "objective": "relegator", "model_name": "pfn", **given}
        return [
            task(**{k: v for k, v in settings.items() if hasattr(task, k)}).hash
            for task in (ReportTask, DatasetConstructorTask)
        ]
    except CollidekitError as error:
        return str(error)


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Return all models inside a model."""
    seen.add(model)
    todo = [field.annotation for field in model.model_fields.values()]
    while todo:
        kind = todo.pop()
        todo += get_args(kind)
        if inspect.isclass(kind) and issubclass(kind, BaseModel) and kind not in seen:
            models(kind, seen)
    return seen


def test_every_field_of_an_analysis_is_walked_over() -> None:
    fields = {f"{model.__name__}.{name}" for model in models(Analysis, set()) for name in model.model_fields}
    merit = {name for name in fields if name.startswith("FigureOfMerit.")}  # as a whole in the hash
    assert fields - merit == set(CHANGES) | set(ONLY_LOOKS)


def test_every_field_of_an_analysis_acts_or_is_refused(place: Path) -> None:
    usual = hashes(place, BASE)
    assert isinstance(usual, list), usual
    assert hashes(place, BASE + "# the same\n") == usual
    for name, (old, new) in CHANGES.items():
        assert old in BASE, name
        assert hashes(place, BASE.replace(old, new, 1)) != usual, name
    assert hashes(place, BASE.replace("epochs: 3", "epochs: 5"), model_name="mlp") != hashes(
        place, BASE, model_name="mlp"
    )


def test_a_unit_is_a_part_of_what_is_drawn(place: Path) -> None:
    """Another axis label gives another report."""
    assert hashes(place, BASE)[0] != hashes(place, BASE.replace("jet_mass: GeV", "jet_mass: MeV"))[0]


def test_law_has_no_parameter_that_is_not_known_here() -> None:
    assert {name for name, _ in law.Task.get_params()} == INTERACTIVE | {"log_file"}
