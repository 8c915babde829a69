"""What a step of a participant finds in its sandbox: folders, files and environment."""

import json
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
    """Folders of one sample of a run, on this machine."""

    work: Path
    sample: str

    @property
    def preprocessed(self) -> Path:
        return self.work / self.sample / "preprocessed"

    @property
    def output(self) -> Path:
        return self.work / self.sample / "output"

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
    tag: str,
) -> Job:
    """Return the job of a step; its output folder is made, and holds nothing of an earlier try.

    ``tag`` is what the participant is told of the sample.
    """
    output = places.output_of(step)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    parameters = write_json(places.work / places.sample / "parameters.json", dict(submission.parameters))
    mounts = [Mount(submission.folder.absolute(), SUBMISSION), Mount(parameters.absolute(), f"{DATA}/parameters.json")]
    mounts += [Mount(path.absolute(), f"{DATA}/{name}") for name, path in data_names(benchmark, sample).items()]
    if step == "tagger" and submission.preprocess:
        mounts.append(Mount(places.preprocessed.absolute(), PREPROCESSED))
    if benchmark.old_format:
        mounts += _old_places(submission, image)
        command = old_script(command, step == "tagger")
    environment = {
        "COLLIDEKIT_FEATURES": f"{DATA}/features.parquet", "COLLIDEKIT_OUTPUT": OUTPUT, "COLLIDEKIT_PARAMETERS": f"{DATA}/parameters.json",
        "COLLIDEKIT_SEED": str(seed), "COLLIDEKIT_SAMPLE": tag, "COLLIDEKIT_PREPROCESSED": PREPROCESSED, "PYTHONDONTWRITEBYTECODE": "1",
        "COLLIDEKIT_KEY": benchmark.key, "COLLIDEKIT_COLUMNS": json.dumps(benchmark.output.columns),
    }  # fmt: skip
    return Job(
        command=("sh", "-c", command), output=output, log=places.log(step), limits=limits_of(benchmark), mounts=tuple(mounts), image=image,
        environment=environment, directory=SUBMISSION,
    )  # fmt: skip


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
