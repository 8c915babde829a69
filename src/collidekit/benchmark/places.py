"""Folders, files and environment that a step of a submission gets in its sandbox."""

import json
import os
import shutil
from pathlib import Path

from attrs import frozen

from collidekit.benchmark.definition import Benchmark, Sample
from collidekit.benchmark.old_commands import old_script
from collidekit.benchmark.sandbox.job import Job, JobLimits, Mount
from collidekit.benchmark.submission import Submission
from collidekit.errors import CollidekitError
from collidekit.files import write_json

SUBMISSION, DATA, PREPROCESSED, OUTPUT = "/submission", "/data", "/preprocessed", "/output"
MEGABYTE = 1 << 20


@frozen
class Places:
    """Folders of one sample of a run, on this machine.

    A command reads in /proc/self/mountinfo where its files lie: what it sees lies in a folder that is named by ``tag``, which is what
    the participant is told of the sample.
    """

    work: Path
    sample: str
    tag: str

    @property
    def preprocessed(self) -> Path:
        return self.work / self.tag / "preprocessed"

    @property
    def output(self) -> Path:
        return self.work / self.tag / "output"

    @property
    def parameters(self) -> Path:
        return self.work / self.tag / "parameters.json"

    @property
    def data(self) -> Path | None:
        """Folder of files whose own paths may name the sample; None where there is nothing to hide."""
        return None if self.tag == self.sample else self.work / self.tag / "data"

    @property
    def predictions(self) -> Path:
        return self.work / self.sample / "predictions.npz"

    def log(self, step: str) -> Path:
        return self.work / self.sample / f"{step}.log"

    def output_of(self, step: str) -> Path:
        return self.preprocessed if step == "preprocess" else self.output


def limits_of(benchmark: Benchmark) -> JobLimits:
    """Return the limits of a step in bytes and seconds."""
    given = benchmark.limits
    return JobLimits(
        memory=given.memory * MEGABYTE, cpus=given.cpus, processes=given.processes, walltime=float(given.walltime),
        output=given.output * MEGABYTE, log=given.log * MEGABYTE,
    )  # fmt: skip


def job_of(
    benchmark: Benchmark,
    sample: Sample,
    submission: Submission,
    places: Places,
    step: str,
    command: str,
    image: str,
    seed: int,
) -> Job:
    """Return the job of a step; its output folder is made, and holds nothing of an earlier try."""
    output = places.output_of(step)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    places.log(step).parent.mkdir(parents=True, exist_ok=True)
    parameters = write_json(places.parameters, dict(submission.parameters))
    mounts = [Mount(submission.folder.absolute(), SUBMISSION), Mount(parameters.absolute(), f"{DATA}/parameters.json")]
    for name, path in data_names(benchmark, sample).items():
        shown = path.absolute()
        if not name.startswith("training/"):  # the same for every sample
            shown = _hidden(shown, places.data, name)
        mounts.append(Mount(shown, f"{DATA}/{name}"))
    if step == "tagger" and submission.preprocess:
        mounts.append(Mount(places.preprocessed.absolute(), PREPROCESSED))
    if benchmark.old_format:
        mounts += _old_places(submission, image)
        command = old_script(command, step == "tagger")
    environment = {
        "COLLIDEKIT_FEATURES": f"{DATA}/features.parquet", "COLLIDEKIT_OUTPUT": OUTPUT, "COLLIDEKIT_PARAMETERS": f"{DATA}/parameters.json",
        "COLLIDEKIT_SEED": str(seed), "COLLIDEKIT_SAMPLE": places.tag, "COLLIDEKIT_PREPROCESSED": PREPROCESSED, "PYTHONDONTWRITEBYTECODE": "1",
        "COLLIDEKIT_KEY": benchmark.key, "COLLIDEKIT_COLUMNS": json.dumps(benchmark.output.columns),
    }  # fmt: skip
    return Job(
        command=("sh", "-c", command), output=output, log=places.log(step), limits=limits_of(benchmark), mounts=tuple(mounts), image=image,
        environment=environment, directory=SUBMISSION,
    )  # fmt: skip


def _hidden(path: Path, folder: Path | None, name: str) -> Path:
    """Return a file under a path that does not name its sample: a hard link, or a copy where the disk is another one."""
    if folder is None:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / name
    target.unlink(missing_ok=True)
    try:
        os.link(path.resolve(), target)
    except OSError:  # another disk, or a file of another user
        shutil.copyfile(path, target)
    return target


def data_names(benchmark: Benchmark, sample: Sample) -> dict[str, Path]:
    """Return what a participant finds in /data, by its name there; CollidekitError where two files would have the same one."""
    found = {"features.parquet": benchmark.path(sample.features)}
    given = [(Path(file.path).name, file) for file in sample.public]
    given += [(f"training/{Path(file.path).name}", file) for file in benchmark.training]
    for name, file in given:
        if name in ("parameters.json", "training") or name in found:
            raise CollidekitError(
                f"{benchmark.folder}: two files for participants would both be {DATA}/{name}; rename one ({file.path})"
            )
        found[name] = benchmark.path(file)
    return found


def _old_places(submission: Submission, image: str) -> list[Mount]:
    """Return what commands of ROB find at /app and /mydata; an image holds these itself, as the template of ROB makes it."""
    if image:
        return []
    mydata = submission.folder / "mydata"
    found = [Mount(submission.folder.absolute(), "/app")]
    return [*found, Mount(mydata.absolute(), "/mydata")] if mydata.is_dir() else found
