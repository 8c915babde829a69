"""DatasetConstructorTask: make a dataset (shards and manifest) from files."""

import math
import shutil
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import law
import luigi

from collidekit.batch.dask_jobs import dask_scheduler, is_site, load_dask_site
from collidekit.dataset.batch import Batch
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.look import FIRST, first_look
from collidekit.dataset.manifest import FORMAT
from collidekit.dataset.shares import take_parts
from collidekit.dataset.warnings import data_warnings
from collidekit.dataset.workers import check_executor
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal
from collidekit.readers import BadFileError, expand, file_id
from collidekit.tasks.base import AnalysisTask, results_folder
from collidekit.tasks.rank_parts import make_by_ranks, number_of_ranks
from collidekit.training.ranks import check_ranks

SMALLEST = 1_000_000
"""Bytes of input files per rank; below this, a single process is faster, because processes take seconds to start."""


class DatasetParameters(AnalysisTask):
    """Parameters of all tasks that need a dataset."""

    dataset_version = luigi.Parameter(default="v1", description="a name that you choose for the dataset")
    filelist = law.CSVParameter(
        default=(), description="input files: a .txt list, paths or globs; default: files.training of the analysis file"
    )
    chunk_size = luigi.IntParameter(default=100_000, description="number of rows in a shard")
    coffea_worker = luigi.IntParameter(default=1, significant=False, description="number of processes that read files")
    executor = luigi.Parameter(
        default="futures",
        significant=False,
        description="where files are read: processes of this machine (futures) or a Dask cluster (dask)",
    )
    scheduler = luigi.Parameter(
        default="",
        significant=False,
        description="the Dask cluster: an address such as tcp://host:8786, a scheduler file, or a site file "
        "(.yaml) or profile whose Slurm starts the workers; default: a cluster on this machine",
    )
    jobs = luigi.IntParameter(
        default=1,
        significant=False,
        description="number of parts of each construction and prediction, which run in parallel as tasks",
    )
    devices = luigi.IntParameter(
        default=0,
        significant=False,
        description="number of processes that construct, train and predict together on each node, each with its own "
        "device; 0: the number that torchrun or srun started, else 1",
    )
    nodes = luigi.IntParameter(
        default=1,
        significant=False,
        description="number of nodes, if torchrun or srun started the processes",
    )
    skip_bad_files = luigi.BoolParameter(default=False, description="skip unreadable and empty files, and count them")

    exclude_index = True
    prefer_params_cli = {"coffea_worker", "executor", "scheduler", "chunk_size", "n_threads"}  # noqa: RUF012

    def files(self) -> list[str]:
        """Return the paths of the input files."""
        if self.filelist:
            return expand(list(self.filelist))
        return shipped_files(self, "training")


def at_least(option: str, value: int, smallest: int) -> None:
    """Raise an error for a number below ``smallest`` or from 2**31 on."""
    if not smallest <= value < 2**31:
        raise CollidekitError(f"--{option}: {value} is not a number from {smallest} to {2**31 - 1}")


def shipped_files(task: AnalysisTask, part: str) -> list[str]:
    """Return the files that the analysis file names, relative to its folder."""
    patterns = getattr(task.analysis.files, part)
    if not patterns:
        raise CollidekitError(
            f"{task.config}: has no {part} files; give them with {'--test-files' if part == 'test' else '--files'} "
            f"({'--test-filelist' if part == 'test' else '--filelist'} in law), or as 'files: {{{part}: ...}}' in the file"
        )
    return expand([p if "://" in p else str(task.analysis_folder / p) for p in patterns])


def _local_size(files: Iterable[str]) -> float:
    """Return the total size of files in bytes; infinity if some are on a server."""
    return sum(Path(path).stat().st_size if Path(path).is_file() else math.inf for path in files)


def remove_outputs_of(parts: Iterable[AnalysisTask]) -> None:
    """Remove the folders of parts that have been joined."""
    for part in parts:
        shutil.rmtree(part.folder, ignore_errors=True)


class DatasetConstructorTask(DatasetParameters):
    """Construct a dataset: select rows, evaluate variables, write shards and a manifest."""

    exclude_index = False
    priority = 1
    """Datasets are made before a training, so that errors in test files are found early."""

    def requires(self) -> dict[str, AnalysisTask]:
        """Return the tasks that make one part each; none if this task makes the whole dataset."""
        from collidekit.tasks.parts import ConstructionPartTask

        if self.jobs == 1:
            return {}
        names = [f"{number}/{self.jobs}" for number in range(1, self.jobs + 1)]
        return {f"part {name}": ConstructionPartTask.req(self, part=name) for name in names}

    def look_first(self) -> None:
        check_ranks(self.devices, self.nodes)
        _ = self.first_rows

    @cached_property
    def first_rows(self) -> Batch | None:
        """Some rows of the dataset, or of the files if it does not exist; None if the first entries have no rows."""
        if law.Task.complete(self):
            return next(iter(Loader(self.dataset(), FIRST)))
        return first_look(self.plan, self.files(), self.skip_bad_files, self.debug)

    def check_parameters(self) -> None:
        """Raise an error for a number out of range, or a parameter without effect."""
        at_least("chunk-size", self.chunk_size, 1)
        at_least("coffea-worker", self.coffea_worker, 1)
        at_least("jobs", self.jobs, 1)
        check_executor(str(self.executor), self.coffea_worker, str(self.scheduler))
        if is_site(str(self.scheduler)):
            load_dask_site(str(self.scheduler))
        if self.jobs > 1 and self.executor == "dask":
            raise CollidekitError(
                f"--jobs {self.jobs}: cannot be used with --executor dask, whose workers share the files; leave out one of the two"
            )

    def identity(self) -> dict[str, Any]:
        self.check_parameters()
        return {
            "format": FORMAT,
            "analysis": self.analysis.fingerprint,
            "files": [[Path(path).name, self._content_id(path)] for path in self.files()],
            "chunk_size": self.chunk_size,
            "debug": self.debug,
            "skip_bad_files": self.skip_bad_files,
            **({"split": 2} if not self.analysis.event else {}),
        }

    def _content_id(self, path: str) -> dict[str, Any]:
        """Return what identifies the content of a file, independent of its path and date."""
        try:
            return {key: value for key, value in file_id(path).items() if key != "mtime"}
        except BadFileError:
            if not self.skip_bad_files:
                raise
            return {}

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version)]

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"manifest": self.target("manifest.json"), "run": self.target("run.json")}

    def make(self) -> None:
        count = len(self.files())
        self.say(
            f"[bold]Constructing[/bold] {literal(self.analysis.name)} from {count} file{'s' if count != 1 else ''}"
        )
        parts = list(self.requires().values()) or self._parts_of_ranks()
        take_parts([part.folder for part in parts], self.folder)
        logs = results_folder() / "jobs" / f"{self.get_task_family()}_{self.hash}_dask"
        with dask_scheduler(str(self.scheduler), self.coffea_worker, logs) as scheduler:
            manifest = construct(
                self.plan,
                self.files(),
                self.folder,
                chunk_size=self.chunk_size,
                workers=self.coffea_worker,
                debug=self.debug,
                skip_bad_files=self.skip_bad_files,
                executor=self.executor,
                scheduler=scheduler,
            )
        for entry in manifest.inputs:
            self.detail(f"  {entry['rows']:>12,}  rows in {literal(entry['path'])}")
        for name, features in manifest.summary["statistics"].items():
            for feature, found in features.items():
                self.detail(
                    f"  {name}.{feature}: {found['mean']:.4g} ± {found['std']:.4g}, {found['missing']:,} missing"
                )
        for step, rows in manifest.summary["cutflow"].items():
            self.say(f"  {rows:>12,}  {literal(step)}")
        for name, count in manifest.class_counts.items():
            self.say(f"  {count:>12,}  in class {name}")
        for name, count in manifest.summary.get("known", {}).items():
            self.say(f"  {count:>12,}  with a known {name}")
        for name, count in manifest.summary["replaced"].items():
            self.say(f"  [yellow]{count:>12,}  values of {name} were NaN or infinite and became the default[/yellow]")
        for warning in data_warnings(manifest):
            self.say(f"  [yellow]{literal(warning)}[/yellow]")
        if manifest.summary["negative_weights"]:
            self.say(f"  [yellow]{manifest.summary['negative_weights']:>12,}  rows have a negative weight[/yellow]")
        for entry in manifest.inputs:
            if "skipped" in entry:
                self.say(f"  [yellow]skipped: {literal(entry['skipped'])}[/yellow]")
        self.write_provenance()
        remove_outputs_of(parts)

    def _parts_of_ranks(self) -> list[AnalysisTask]:
        """Return the parts that several ranks have made; none with Dask, a single process, or small files."""
        from collidekit.tasks.parts import ConstructionPartTask

        ranks = number_of_ranks(self)
        if self.executor == "dask" or ranks == 1 or _local_size(self.files()) < SMALLEST * ranks:
            return []
        return make_by_ranks(self, ConstructionPartTask)

    def dataset(self, n_files: int = -1) -> Dataset:
        return Dataset(self.folder, n_files, self.analysis)
