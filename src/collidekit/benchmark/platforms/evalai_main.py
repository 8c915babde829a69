"""The evaluation script for EvalAI: a copy of this file is in the challenge, beside the scoring program."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).resolve().parent / "program" / "score.py"
NAME = re.compile(r"(?:[A-Za-z0-9_.-]+/){0,2}predictions(?:_\d{1,4})?\.(?:parquet|csv|npy)")
MOST_BYTES = 4 << 30
SECONDS = 900


def evaluate(
    test_annotation_file: str, user_annotation_file: str, phase_codename: str, **kwargs: Any
) -> dict[str, Any]:
    """Return the scores of a submission; raises an exception with the reason where there are none.

    The program runs in a process of its own: a worker that serves several challenges keeps no module of another one.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(test_annotation_file) as archive:
            archive.extractall(folder / "ref")
        unpack(Path(user_annotation_file), folder / "res")
        command = [sys.executable, str(PROGRAM), str(folder / "ref"), str(folder / "res"), str(folder / "out")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        if done.returncode or not (folder / "out" / "scores.json").is_file():
            lines = done.stderr.strip().splitlines() or [f"the scoring program ended with {done.returncode}"]
            raise RuntimeError(lines[-1])
        scores = json.loads((folder / "out" / "scores.json").read_text(encoding="utf-8"))
        plan = json.loads((folder / "ref" / "plan.json").read_text(encoding="utf-8"))
    metrics = {metric["name"]: scores[metric["name"]] for metric in plan["metrics"]}
    return {"result": [{phase_codename: metrics}], "submission_result": scores}


def unpack(source: Path, folder: Path) -> None:
    """Copy predictions out of a zip file, or a single file of predictions; other names are left out."""
    folder.mkdir()
    if not zipfile.is_zipfile(source) or source.suffix in (".npy", ".csv", ".parquet"):
        shutil.copyfile(source, folder / f"predictions{source.suffix}")
        return
    total = 0
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if not NAME.fullmatch(entry.filename) or ".." in entry.filename.split("/"):
                continue
            target = folder / entry.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as file, target.open("wb") as output:
                while part := file.read(1 << 20):
                    total += len(part)
                    if total > MOST_BYTES:
                        raise RuntimeError(f"the submission unpacks to more than {MOST_BYTES >> 30} GB")
                    output.write(part)
