"""Outputs below a results folder: which output uses which, what can be removed, and that nothing else is removed."""

import importlib
import json
import os
import pkgutil
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from collidekit import tasks
from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError
from collidekit.outputs import find as found
from collidekit.outputs.clean import clean_results
from collidekit.outputs.find import DATASET, TRAINING, State, find_outputs
from collidekit.outputs.removal import Kind, find_removable, remove
from collidekit.readers.cache import _key
from collidekit.tasks import pipelines
from collidekit.tasks.base import AnalysisTask

HOUR = 3600.0
D1, D2, T1, T2, I1 = "d000000001", "d000000002", "a000000001", "a000000002", "e000000001"
SETTINGS: dict[str, Any] = {"epochs": 2}
Make = Callable[..., Path]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def make(results: Path) -> Make:
    """Makes an output by hand; without settings it is unfinished. ``hours`` is its age."""

    def one(place: str, settings: object = None, *names: str, hours: float = 5) -> Path:
        folder = results / place
        for name in names or ("content",):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x" * 1000)
        if settings is not None:
            (folder / "run.json").write_text(json.dumps({"settings": settings}))
        age(folder, hours)
        return folder

    return one


def age(folder: Path, hours: float) -> None:
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - hours * HOUR,) * 2, follow_symlinks=False)


def states(results: Path) -> dict[str, State]:
    return {output.hash: output.state for output in find_outputs(results)}


def removable(results: Path, checkpoints: bool = False) -> dict[Path, Kind]:
    return {item.path: item.kind for item in find_removable(find_outputs(results), checkpoints)}


def clean(results: Path, checkpoints: bool = False) -> None:
    clean_results(results, checkpoints, ask=False)


def _tasks(kind: type[AnalysisTask] = AnalysisTask) -> set[type[AnalysisTask]]:
    below = set(kind.__subclasses__()).union(*(_tasks(cls) for cls in kind.__subclasses__()))
    return {cls for cls in below if cls.__module__.startswith("collidekit.")}


def test_every_task_with_an_output_is_known_with_its_number_of_versions() -> None:
    for module in pkgutil.iter_modules(tasks.__path__, "collidekit.tasks."):
        importlib.import_module(module.name)
    with_output = [task for task in _tasks() if not task.exclude_index and not issubclass(task, pipelines.Pipeline)]
    counts = {}
    for task in with_output:
        versions = task.versions_in_path(
            SimpleNamespace(
                dataset_version=1, training_version=1, test_dataset_version=1, test_attack_settings=AttackSettings()
            )
        )  # type: ignore[arg-type]
        counts[task.__name__] = len(versions)
    assert counts == found.VERSIONS


def test_nothing_in_a_folder_that_is_missing_or_empty(results: Path) -> None:
    assert find_outputs(results) == []
    results.mkdir()
    assert find_outputs(results) == []


def test_references_are_read_from_the_settings_however_deep(results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    make(f"{DATASET}/jets/test/{D2}", SETTINGS)
    make(f"{TRAINING}/jets/v1/v1/{T1}", {"dataset": D1, "config": SETTINGS})
    make(f"{TRAINING}/jets/v1/v1/{T2}", {"extends": T1, "dataset": D1})
    make(f"InferenceTask/jets/v1/v1/test/{I1}", {"made from": [{"training": T1, "test": D2}]})
    users = {output.hash: output.users for output in find_outputs(results)}
    assert users == {D1: 2, D2: 1, T1: 2, T2: 0, I1: 0}
    assert states(results) == {
        D1: State.USED, D2: State.USED, T1: State.USED, T2: State.RESULT, I1: State.RESULT
    }  # fmt: skip
    assert removable(results) == {}


def test_sizes_and_order(results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}", None, "parts/0.arrow")
    make(f"{DATASET}/jets/v1/{D2}", None, "a", "b", "parts/c")
    assert [(output.hash, output.size, len(output.files)) for output in find_outputs(results)] == [
        (D2, 3000, 3), (D1, 1000, 1)
    ]  # fmt: skip


def test_only_an_unused_dataset_goes(results: Path, make: Make) -> None:
    unused = make(f"{DATASET}/jets/v2/{D2}", SETTINGS)
    kept = [
        make(f"{DATASET}/jets/v1/{D1}", SETTINGS),
        make(f"{TRAINING}/jets/v1/v1/{T1}", {"dataset": D1}, "best_model.pt"),
        *(
            make("/".join([task, "jets", *["v1"] * count, f"{number:010x}"]), SETTINGS)
            for number, (task, count) in enumerate(found.VERSIONS.items())
            if task != DATASET
        ),
    ]
    assert removable(results) == {unused: Kind.DATASET}
    clean(results)
    assert not unused.parent.exists(), "the empty folder of its version goes, too"
    assert all((folder / "run.json").exists() for folder in kept)


def test_the_same_dataset_under_another_name_is_another_output(results: Path, make: Make) -> None:
    """Versions and the name of the analysis are in the path and not in the hash."""
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    make(f"{TRAINING}/jets/v1/other/{T1}", {"dataset": D1})
    others = {make(f"{DATASET}/{place}/{D1}", SETTINGS) for place in ("jets/other", "copy/v1")}
    assert removable(results) == dict.fromkeys(others, Kind.DATASET)
    make(f"InferenceTask/jets/v1/other/test/{I1}", {"training": T1, "test": D1})
    assert set(removable(results)) == others, "none is named 'test', v1 fits as well"
    make(f"{TRAINING}/moved/v3/v1/{T2}", {"dataset": D1})
    assert removable(results) == {}, "where no name fits, any may be meant"


@pytest.mark.parametrize("task", [DATASET, TRAINING, "InferenceTask"])
def test_what_is_unfinished_goes_unless_it_is_being_made(results: Path, make: Make, task: str) -> None:
    versions = "/".join(["v1"] * found.VERSIONS[task])
    old = make(f"{task}/jets/{versions}/{D1}", None, "some.part", hours=1.1)
    new = make(f"{task}/jets/{versions}/{D2}", None, "some.part", "other", hours=1.1)
    os.utime(new / "other")
    assert states(results) == {D1: State.UNFINISHED, D2: State.MAKING}
    clean(results)
    assert not old.exists()
    assert new.exists()


def test_an_empty_folder_has_the_age_of_the_folder(results: Path) -> None:
    folder = results / DATASET / "jets" / "v1" / D1
    folder.mkdir(parents=True)
    assert states(results) == {D1: State.MAKING}
    age(folder, 2)
    assert states(results) == {D1: State.UNFINISHED}
    clean(results)
    assert list(results.iterdir()) == []


@pytest.mark.parametrize("name", ["last.pt", "model_3.pt"])
def test_an_interrupted_training_stays_with_its_dataset(results: Path, make: Make, name: str) -> None:
    make(f"{TRAINING}/jets/v1/v1/{T1}", None, name, hours=900)
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    other = make(f"{DATASET}/jets/v2/{D2}", SETTINGS)
    assert states(results) == {T1: State.INTERRUPTED, D1: State.NEEDED, D2: State.UNUSED}
    assert removable(results) == {other: Kind.DATASET}


def test_datasets_stay_while_anything_of_their_analysis_is_at_work(results: Path, make: Make) -> None:
    """A test dataset is made before the training ends, and nothing refers to it until the prediction is complete."""
    make(f"{DATASET}/jets/test/{D1}", SETTINGS, hours=30)
    other = make(f"{DATASET}/events/v1/{D2}", SETTINGS, hours=30)
    training = make(f"{TRAINING}/jets/v1/v1/{T1}", None, "last.pt", hours=0.5)
    assert states(results)[D1] is State.NEEDED
    (training / "run.json").write_text(json.dumps({"settings": {}}))
    assert states(results)[D1] is State.NEEDED, "complete a moment ago: the prediction may be next"
    assert removable(results) == {other: Kind.DATASET}
    age(training, 2)
    assert states(results)[D1] is State.UNUSED


def test_a_new_dataset_stays(results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS, hours=0.1)
    assert states(results) == {D1: State.NEEDED}


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"made": 1}', "\0"])
def test_a_damaged_output_stays_with_what_it_may_refer_to(results: Path, make: Make, text: str) -> None:
    folder = make(f"{TRAINING}/jets/v1/v1/{T1}", SETTINGS, ".last.3.part.pt")
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    (folder / "run.json").write_text(text)
    age(folder, 5)
    assert states(results) == {T1: State.DAMAGED, D1: State.NEEDED}
    assert removable(results) == {}


def test_what_a_killed_process_was_writing_goes(results: Path, make: Make) -> None:
    names = ".last.4711.part.pt", ".shard_0.arrow.2f3a.part", "plots/.roc.1.part.png", "part.txt", ".hidden"
    folder = make(f"{TRAINING}/jets/v1/v1/{T1}", SETTINGS, *names, ".new.1.part.pt")
    os.utime(folder / ".new.1.part.pt")
    assert removable(results) == {folder / name: Kind.TEMPORARY for name in names[:3]}
    clean(results)
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"run.json", "part.txt", ".hidden", ".new.1.part.pt"}


@pytest.fixture
def training(make: Make) -> Path:
    """A complete training of five epochs, of which the second is the best; so is the fourth, but later."""
    names = "best_model.pt", "last.pt", "history.csv", "steps.csv", *(f"model_{epoch}.pt" for epoch in range(1, 6))
    folder = make(f"{TRAINING}/jets/v1/v1/{T1}", SETTINGS, *names)
    losses = (0.5, 0.1, 0.3, 0.1, 0.4)
    rows = "".join(f"{epoch},{loss}\n" for epoch, loss in enumerate(losses, 1))
    (folder / "history.csv").write_text(f"epoch,val_loss\n{rows}")
    age(folder, 5)
    return folder


def test_checkpoints_go_only_when_asked_for(results: Path, training: Path) -> None:
    assert removable(results) == {}
    assert removable(results, checkpoints=True) == {training / f"model_{n}.pt": Kind.CHECKPOINT for n in (1, 3, 4)}
    clean(results)
    assert len(list(training.glob("model_*.pt"))) == 5
    clean(results, checkpoints=True)
    assert {path.name for path in training.glob("*.pt")} == {"best_model.pt", "last.pt", "model_2.pt", "model_5.pt"}
    assert removable(results, checkpoints=True) == {}


@pytest.mark.parametrize("missing", ["run.json", "history.csv", "best_model.pt", "last.pt"])
def test_checkpoints_of_a_training_that_is_not_whole_stay(results: Path, training: Path, missing: str) -> None:
    (training / missing).unlink()
    assert removable(results, checkpoints=True) == {}


@pytest.mark.parametrize("text", ["", "epoch,val_loss\n", "epoch\n1\n", "epoch,val_loss\n1,much\n", "\xff\n"])
def test_checkpoints_stay_where_the_history_cannot_be_read(results: Path, training: Path, text: str) -> None:
    (training / "history.csv").write_text(text, encoding="latin-1")
    assert removable(results, checkpoints=True) == {}


@pytest.mark.parametrize(
    "place",
    [
        f"MyTask/jets/v1/{D1}",
        f"{DATASET}/jets/{D1}",
        f"{DATASET}/jets/a/b/{D1}",
        f"{DATASET}/jets/v1/results",
        f"{DATASET}/jets/v1/{D1}0",
        f"{DATASET}/jets/v1/{D1.upper()}",
        f"{DATASET}/jets/v1/.{D1}.removed",
        "notes/of/mine",
        "d000000003",
    ],
)
def test_what_is_not_an_output_of_collidekit_stays(results: Path, make: Make, place: str) -> None:
    make(place, None, "precious", ".precious.1.part", hours=9000)
    assert removable(results, checkpoints=True) == {}


def test_a_task_of_ones_own_may_refer_to_a_dataset(results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    make(f"MyTask/jets/v1/more/{T1}", {"dataset": D1})
    assert states(results) == {D1: State.USED, T1: State.RESULT}


def test_an_output_with_another_inside_stays(results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}/{D2}", SETTINGS)
    assert removable(results) == {}


def test_nothing_behind_a_link_goes_and_what_it_refers_to_stays(tmp_path: Path, results: Path, make: Make) -> None:
    used, unused = make(f"{DATASET}/jets/v1/{D1}", SETTINGS), make(f"{DATASET}/jets/v2/{D2}", SETTINGS)
    make(f"{TRAINING}/jets/v1/v1/{T1}", {"dataset": D1})
    shutil.move(results / TRAINING, tmp_path / "elsewhere")
    (results / TRAINING).symlink_to(tmp_path / "elsewhere")
    (results / "back").symlink_to(results)
    assert removable(results) == {unused: Kind.DATASET}

    shutil.move(results / DATASET / "jets" / "v2", tmp_path / "moved")
    (results / DATASET / "jets" / "v2").symlink_to(tmp_path / "moved")
    assert states(results) == {D1: State.USED, D2: State.UNUSED, T1: State.RESULT}
    clean(results)
    assert (tmp_path / "moved" / D2 / "run.json").exists()
    assert used.exists()


def test_a_link_in_an_output_is_not_followed(tmp_path: Path, results: Path, make: Make) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / ".a.1.part").write_text("mine")
    folder = make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    (folder / "link").symlink_to(precious)
    (folder / "file.arrow").symlink_to(precious / ".a.1.part")
    age(folder, 5)
    assert removable(results) == {folder: Kind.DATASET}
    clean(results)
    assert not folder.exists()
    assert (precious / ".a.1.part").read_text() == "mine"


def test_the_results_folder_itself_may_be_a_link(tmp_path: Path, results: Path, make: Make) -> None:
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    (tmp_path / "link").symlink_to(results)
    clean(tmp_path / "link")
    assert list(results.iterdir()) == []
    assert (tmp_path / "link").is_symlink()


def test_what_is_used_by_now_stays(results: Path, make: Make) -> None:
    """Between the list and the answer, a training may have begun."""
    kept, gone = make(f"{DATASET}/jets/v1/{D1}", SETTINGS), make(f"{DATASET}/events/v1/{D2}", SETTINGS)
    items = find_removable(find_outputs(results))
    make(f"{TRAINING}/jets/v1/v1/{T1}", None, "last.pt", hours=0)
    assert [item.path for item in remove(results, items)] == [gone]
    assert kept.exists()


def test_an_interrupted_removal_leaves_nothing_that_looks_complete(
    results: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(f"{DATASET}/jets/v1/{D1}", SETTINGS, "manifest.json", "shard_00000.arrow")
    with monkeypatch.context() as patch:
        patch.setattr("collidekit.outputs.removal.shutil.rmtree", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            clean(results)
    assert not folder.exists()
    (left,) = folder.parent.iterdir()
    assert left.name.startswith(f".{D1}.")
    assert removable(results) == {left: Kind.HALF_REMOVED}

    make(f"{DATASET}/jets/v1/{D1}", SETTINGS, hours=0)  # made again
    clean(results)
    assert list(folder.parent.iterdir()) == [folder]


def _interrupted(path: Path) -> None:
    (path / "shard_00000.arrow").unlink()
    raise KeyboardInterrupt


def test_what_cannot_be_removed_is_one_error_and_the_rest_goes(
    results: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [make(f"{DATASET}/jets/{version}/{D1}", SETTINGS) for version in ("v1", "v2", "v3")]
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path in folders[:2]:
            raise PermissionError(13, "Permission denied", str(path))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        CollidekitError, match=rf"v1/{D1}: cannot be removed \(Permission denied\); the same for 1 more"
    ):
        clean(results)
    assert [folder.exists() for folder in folders] == [True, True, False]


@pytest.mark.parametrize("place", [TRAINING, f"{DATASET}/jets/v1/{D1}"])
def test_a_folder_that_cannot_be_read_stops_all(
    results: Path, make: Make, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It may refer to any dataset."""
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS)
    make(f"{TRAINING}/jets/v1/v1/{T1}", {"dataset": D1})
    scandir = os.scandir

    def closed(path: str) -> Any:
        if Path(path) == results / place:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError):
        find_outputs(results)


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a copy of a remote file into the cache."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("COLLIDEKIT_CACHE", str(cache))

    def put(url: str, hours: float = 5) -> Path:
        key = _key(url)
        (cache / f"{key}.url").write_text(url)
        path = cache / f"{key}-100-0-{url.rpartition('/')[2]}"
        path.write_bytes(b"x" * 100)
        age(path, hours)
        return path

    return put


def _inputs(*urls: str) -> str:
    return json.dumps({"inputs": [{"path": url} for url in urls]})


def test_copies_of_remote_files_go_when_no_dataset_names_them(
    results: Path, make: Make, cached: Callable[..., Path]
) -> None:
    kept = [cached(f"root://host//{name}.root") for name in ("a", "b", "secret")]
    kept.append(cached("root://host//new.root", hours=0.1))
    gone = {cached("root://host//c.root"): Kind.CACHED, cached("root://host//d.root.part"): Kind.CACHED}
    (make(f"{DATASET}/jets/v1/{D1}", SETTINGS, hours=0) / "manifest.json").write_text(
        _inputs("root://host//a.root", "root://me:word@host//secret.root?authz=token", "local.root")
    )
    (make(f"{DATASET}/jets/v1/{D2}", None, "parts/job.json") / "parts/job.json").write_text(
        _inputs("root://host//b.root")
    )
    assert removable(results) == gone
    clean(results)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


def test_copies_stay_where_it_is_not_known_who_names_them(
    results: Path, make: Make, cached: Callable[..., Path]
) -> None:
    cached("root://host//c.root")
    assert removable(results) == {}, "no outputs: perhaps the wrong folder"
    make(f"{DATASET}/jets/v1/{D1}", SETTINGS, "manifest.json", hours=0)
    assert removable(results) == {}
