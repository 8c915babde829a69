"""Commands of ROB: values of actors, and the paths data/, results/ and mydata/ that they expect."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from collidekit.errors import CollidekitError

if TYPE_CHECKING:
    from collidekit.benchmark.definition import Benchmark
    from collidekit.benchmark.submission import Submission

IMAGE = r"^$|^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,254}$"
STEPS = {"preproc": "preprocess", "preprocess": "preprocess", "tagger": "tagger", "eval": "tagger"}
"""Names of actors and the steps that they are."""

_RESULTS = re.compile(r"(?<![\w./-])/results(?=/|\s|$|[\"'])")
_UNPICKLE = """
import pickle, numpy
with open("/output/results/yProbBest.pkl", "rb") as file:
    values = numpy.asarray(pickle.load(file, encoding="latin1"), dtype=numpy.float64)
numpy.save("/output/predictions.npy", values)
"""
_COLLECT = f"""
for kind in npy parquet csv; do
  if [ -f results/yProbBest.$kind ]; then mv results/yProbBest.$kind predictions.$kind; fi
done
if [ ! -e predictions.npy ] && [ -f results/yProbBest.pkl ]; then python3 - <<'END'{_UNPICKLE}END
fi
rm -r results
"""


def actor(value: Any, where: str) -> tuple[str, str]:
    """Return image and command of the value of an actor.

    It is ``{environment, commands}``, or the list ``[container, {environment, commands}]`` of ROB; ``image`` and ``command`` are
    other names for the same.
    """
    if (
        isinstance(value, list)
        and len(value) == 2
        and value[0] in ("container", "docker")
        and isinstance(value[1], dict)
    ):
        value = value[1]
    if isinstance(value, dict):
        image = value.get("environment", value.get("image", ""))
        commands = value.get("commands", value.get("command", []))
        commands = [commands] if isinstance(commands, str) else commands
        unknown = set(value) - {"environment", "image", "commands", "command"}
        if (
            not unknown
            and isinstance(image, str)
            and isinstance(commands, list)
            and commands
            and all(isinstance(line, str) for line in commands)
        ):
            return image, " && ".join(line.strip() for line in commands)
    raise CollidekitError(f"{where}: an actor needs 'environment', a container image, and 'commands', lines of shell")


def steps_of_actors(
    benchmark: "Benchmark", given: Mapping[str, Any], submission: "Submission", where: str
) -> dict[str, str]:
    """Return the commands and images that the actors among the given parameters have; an error where the submission gives both.

    The default of an actor only fills the form of a participant; it never runs by itself.
    """
    found: dict[str, str] = {}
    for parameter in benchmark.parameters:
        if parameter.type != "actor" or given.get(parameter.name) is None:
            continue
        step = STEPS.get(parameter.name)
        if step is None:
            known = ", ".join(sorted(STEPS))
            raise CollidekitError(f"{where}: the actor {parameter.name!r} is none of the steps {known}")
        if getattr(submission, step):
            raise CollidekitError(
                f"{where}: has {step!r} and the actor {parameter.name!r}, which is the same; leave one of them out"
            )
        image, found[step] = actor(given[parameter.name], f"{where}: parameter {parameter.name!r}")
        if not re.match(IMAGE, image):
            raise CollidekitError(f"{where}: parameter {parameter.name!r}: {image!r} is no name of a container image")
        found["preprocess_image" if step == "preprocess" else "image"] = image
    return found


def old_script(command: str, is_tagger: bool) -> str:
    """Return a script that runs a command of ROB in /output, where it finds data/, code/, mydata/ and results/.

    Results of the first step are there for the second. Predictions in a pickle become npy inside of the sandbox: nothing
    outside of it ever reads the pickle.
    """
    lines = [
        "set -e",
        "cd /output",
        "mkdir results",
        "ln -s /data data",
        "ln -s /submission code",
        "ln -s /submission/mydata mydata",
    ]
    if is_tagger:
        lines.append("if [ -d /preprocessed/results ]; then cp -R /preprocessed/results/. results/; fi")
    lines += [
        "export PYTHONPATH=/submission${PYTHONPATH:+:$PYTHONPATH}",
        f"( {_RESULTS.sub('/output/results', command)} )",
    ]
    if is_tagger:
        lines.append(_COLLECT.strip())
    return "\n".join([*lines, "rm -f data code mydata"])
