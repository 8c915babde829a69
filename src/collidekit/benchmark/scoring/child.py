"""The process that scores: ``python -m collidekit.benchmark.scoring.child FOLDER`` reads job.json and writes scores.json there."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from collidekit.benchmark.scoring.exit_codes import FAILED, MEMORY, SECONDS_TO_END, UNFIT


def limit_resources(memory: int, seconds: float) -> None:
    """Limit the address space and the time of this process, also for the case that its caller is killed."""
    import math
    import resource
    import signal

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    allowed = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(math.ceil(seconds) + SECONDS_TO_END)


def score_job(folder: Path) -> dict[str, Any]:
    """Return the scores of the job that job.json describes."""
    from collidekit.benchmark.scoring.arrays import in_order_of, read_predictions_npz
    from collidekit.benchmark.scoring.plan import ScoringPlan
    from collidekit.benchmark.scoring.score import score_plan
    from collidekit.benchmark.scoring.truth_file import read_keys, read_truth

    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    plan = ScoringPlan.from_dict(job["plan"])
    truth = {name: read_truth(Path(path), plan.key, checksum) for name, (path, checksum) in job["truth"].items()}
    predictions = {}
    for name, path in job["predictions"].items():
        values, keys = read_predictions_npz(Path(path))
        if keys is None:
            keys = read_keys(Path(job["features"][name]), plan.key)
        predictions[name] = in_order_of(truth[name], values, keys, name)
    return score_plan(plan, predictions, truth).as_dict()


def main(folder: Path) -> int:
    """Score and return the exit code; the reason of a failure is the last line that is printed."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    limit_resources(int(job["memory"]), float(job["seconds"]))
    from collidekit.benchmark.scoring.failures import UnfitPredictions
    from collidekit.errors import CollidekitError

    try:
        content = json.dumps(score_job(folder), allow_nan=False)
    except UnfitPredictions as error:
        return _fail(UNFIT, error)
    except CollidekitError as error:
        return _fail(FAILED, error)
    except MemoryError:
        return MEMORY
    (folder / "scores.json").write_text(content, encoding="utf-8")
    return 0


def _fail(code: int, error: Exception) -> int:
    print(" ".join(str(error).split()), flush=True)
    return code


if __name__ == "__main__":
    code = main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(code)  # at once: threads of libraries that still run could end an ordinary exit by SIGABRT
