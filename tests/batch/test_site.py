"""Site files: resources of each kind of job, profiles, and one clear error for each mistake."""

from pathlib import Path

import pytest

from collidekit.batch.site import load_site, profiles
from collidekit.batch.units import megabytes, seconds, show_memory, show_time
from collidekit.errors import CollidekitError


def site_file(folder: Path, text: str) -> str:
    path = folder / "site.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", sorted(profiles()))
def test_every_profile_is_valid(name: str) -> None:
    site = load_site(name)
    assert site.resources_of("training").walltime == 12 * 3600


def test_a_site_file_overrides_its_profile(tmp_path: Path) -> None:
    site = load_site(site_file(tmp_path, "profile: slurm\nresources:\n  training: {gpus: 1}\n"))
    training = site.resources_of("training")
    assert (training.gpus, training.cores, training.memory) == (1, 4, 8192)
    assert site.resources_of("evaluation").memory == 4096


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("system: slurm\npartition: gpu\n", "site.yaml:2: unknown key 'partition'"),
        ("system: slurm\nslurm: {partion: gpu}\n", "unknown key 'slurm.partion' (did you mean 'partition'"),
        (
            "system: slurm\nresources:\n  trainig: {cores: 2}\n",
            "site.yaml:3: resources: there is no kind of job 'trainig'",
        ),
        (
            "system: slurm\nresources:\n  training: {memory: 4}\n",
            "site.yaml:3: resources.training.memory: 4 is not an amount",
        ),
        ("system: slurm\nresources:\n  training: {ram: 4 GB}\n", "unknown key 'resources.training.ram'"),
        (
            "system: slurm\nresources:\n  training: {walltime: 1min}\n",
            "site.yaml:3: walltime of training: is shorter than twice",
        ),
        ("system: slurm\nresources:\n  training: {memory: 1 TB}\n", "is above limits.memory"),
        ("system: pbs\n", "site.yaml:1: system"),
        ("profile: nafx\n", "there is no profile 'nafx' (did you mean 'naf'?)"),
        ("system: slurm\nenvironment: {kind: venv}\n", "venv needs a path"),
        ("- slurm\n", "a site file has lines 'key: value'"),
        ("system: [\n", "not valid YAML"),
        ("profile: slurm\nslurm: {account: a}\nslurm: {qos: b}\n", "site.yaml:3: 'slurm' is given twice"),
        ("system: slurm\nslurm:\n  qos: a\n  qos: b\n", "site.yaml:4: 'qos' is given twice"),
        ("profile: [slurm]", "there is no profile"),
        ("profile: slurm\nresources: {training: {memory: 0 GB}}", "'0 GB' is zero; give more than 0"),
        ("profile: slurm\npoll: 0s", "'0s' is zero"),
        ("profile: slurm\nlimits: 5", "limits: it needs lines 'key: value' below it"),
        ("profile: slurm\nresources: [1, 2]", "resources: it needs lines 'key: value' below it"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CollidekitError) as error:
        load_site(site_file(tmp_path, text))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_names() -> None:
    with pytest.raises(CollidekitError, match="did you mean 'slurm'"):
        load_site("", "slrm")
    with pytest.raises(CollidekitError, match="no such site file or profile"):
        load_site("nowhere.yaml")
    with pytest.raises(CollidekitError, match="is a site with htcondor"):
        load_site("lxplus", "slurm")


def test_amounts() -> None:
    assert megabytes("1.5 GB") == 1536
    assert seconds("1d 12h") == 129600
    assert (show_memory(1536), show_time(9000)) == ("1.5 GB", "2h 30min")
