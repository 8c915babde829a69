"""``collidekit benchmark create``: the folder of a new benchmark, like a bundled one."""

import re
import shutil
from pathlib import Path

from collidekit.benchmark.definition import FILE, Benchmark, load_benchmark
from collidekit.benchmark.parts import NAME
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.files import gathering
from collidekit.shipped import shipped_benchmarks


def create_benchmark(folder: Path, like: str, name: str = "") -> Benchmark:
    """Copy a bundled benchmark into a new folder and give it a name; return it."""
    known = shipped_benchmarks()
    if like not in known:
        close = did_you_mean(like, list(known)) or f"; there are {', '.join(known)}"
        raise CollidekitError(f"--like {like}: there is no bundled benchmark of this name{close}")
    if (folder / FILE).exists():
        raise CollidekitError(f"{folder / FILE}: is there already; name a new folder")
    if name and not re.match(NAME, name):
        raise CollidekitError(f"--name {name}: a name has small letters, digits and _, and begins with a letter")
    with gathering(folder) as staging:
        for path in sorted(known[like].iterdir()):
            if path.is_file():
                shutil.copyfile(path, staging / path.name)
        if name:
            text = (staging / FILE).read_text(encoding="utf-8")
            (staging / FILE).write_text(re.sub(r"(?m)^name: .*$", f"name: {name}", text, count=1), encoding="utf-8")
    return load_benchmark(folder)
