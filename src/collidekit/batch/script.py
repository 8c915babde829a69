"""Job scripts and submit files; ``--dry-run`` prints the same text."""

import os
import sys
from pathlib import Path
from shlex import join, quote

from collidekit.batch.job import Attempt, Job
from collidekit.batch.site import Environment, Resources, Site

PASSED = ("COLLIDEKIT_OUTPUT", "COLLIDEKIT_STORE", "COLLIDEKIT_TRUST_CODE", "PYTHONPATH")
"""Environment variables that are passed to jobs."""


def job_script(job: Job, site: Site, resources: Resources, attempt: Attempt, exclude: tuple[str, ...] = ()) -> str:
    """Return the script of a job; for Slurm it contains the options of sbatch."""
    options: list[str] = []
    if site.system == "slurm":
        signal = f"--signal=B:USR1@{site.stop_before_end}"
        options = [signal, *slurm_options(f"ck-{job.name}", option_path(attempt.log), site, resources, exclude)]
    return "\n".join(["#!/bin/bash", *[f"#SBATCH {option}" for option in options], *prologue(site, resources),
                      _worker(job, site, attempt, resources), ""])  # fmt: skip


def prologue(site: Site, resources: Resources) -> list[str]:
    """Return the shell lines before the command of a job."""
    return ["set -e", f"cd {quote(os.getcwd())}", *_exports(site, resources), *_environment(site)]


def slurm_options(name: str, log: str, site: Site, resources: Resources, exclude: tuple[str, ...] = ()) -> list[str]:
    """Return the options of sbatch; ``log`` is a path in the syntax of Slurm, where %j is the number of the job."""
    slurm = site.slurm
    minutes = -(-resources.walltime // 60)
    options = {
        "job-name": name, "output": log, "cpus-per-task": resources.cores,
        "mem": f"{resources.memory}M", "tmp": f"{resources.disk}M" if resources.disk else "", "time": minutes,
        "gres": f"gpu:{resources.gpus}" if resources.gpus else "",
        "partition": slurm.partition, "account": slurm.account, "qos": slurm.qos, "constraint": slurm.constraint,
        "exclude": ",".join(exclude),
    }  # fmt: skip
    lines = [f"--{name}={value}" for name, value in options.items() if value != ""]
    return ["--nodes=1", "--ntasks=1", *lines, "--no-requeue", *slurm.options]


def option_path(folder: Path, pattern: str = "") -> str:
    """Return a path for an option in a script of Slurm, which replaces % and splits at spaces."""
    text = str(folder).replace("%", "%%") + (f"/{pattern}" if pattern else "")
    return text if text == quote(text) else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _exports(site: Site, resources: Resources) -> list[str]:
    own_python = site.environment.kind in ("this", "venv")
    names = [name for name in PASSED if name in os.environ and (own_python or name != "PYTHONPATH")]
    values = {name: os.environ[name] for name in names}
    for name, value in values.items():
        if name in ("COLLIDEKIT_OUTPUT", "COLLIDEKIT_STORE") and "://" not in value:
            values[name] = str(Path(value).expanduser().absolute())
    values |= {"OMP_NUM_THREADS": str(resources.cores), "PYTHONUNBUFFERED": "1"}
    if site.credentials.voms and site.system == "slurm":
        values["X509_USER_PROXY"] = voms_proxy()
    if site.credentials.kerberos and site.system == "slurm":
        values["KRB5CCNAME"] = f"FILE:{kerberos_cache()}"
    return [f"export {name}={quote(value)}" for name, value in values.items()]


def voms_proxy() -> str:
    """Return the path of the VOMS proxy of this user."""
    return os.environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{os.getuid()}"


def kerberos_cache() -> str:
    """Return the path of the Kerberos ticket of this user."""
    return os.environ.get("KRB5CCNAME", f"/tmp/krb5cc_{os.getuid()}").removeprefix("FILE:")


def _environment(site: Site) -> list[str]:
    """Return the shell lines that activate the Python environment."""
    environment: Environment = site.environment
    path = quote(environment.path)
    lines = list(environment.setup)
    if environment.kind == "venv":
        lines.append(f"source {path}/bin/activate")
    elif environment.kind == "conda":
        lines += ['eval "$(conda shell.bash hook)"', f"conda activate {path}"]
    elif environment.kind == "lcg":
        lines.append(f"source {path}/setup.sh")
    return lines


def python_of(site: Site) -> tuple[str, str]:
    """Return the command prefix of a job, to run in a container, and its Python."""
    environment = site.environment
    in_container = environment.kind == "container"
    prefix = f"apptainer exec --bind {quote(os.getcwd())} {quote(environment.path)} " if in_container else ""
    return prefix, sys.executable if environment.kind == "this" else "python"


def _worker(job: Job, site: Site, attempt: Attempt, resources: Resources) -> str:
    """Return the last line of the script: its process receives the signals."""
    prefix, python = python_of(site)
    limit = resources.walltime - site.stop_before_end if site.system == "htcondor" else 0
    worker = join([python, "-m", "collidekit.batch.worker", str(attempt.folder), str(limit), python, *job.command])
    return f"exec {prefix}{worker}"


def submit_description(
    job: Job, site: Site, resources: Resources, attempt: Attempt, exclude: tuple[str, ...] = ()
) -> str:
    """Return the submit description of HTCondor."""
    condor = site.htcondor
    requirements = [f"({condor.requirements})"] if condor.requirements else []
    requirements += [f'(TARGET.Machine =!= "{host}")' for host in exclude]
    lines = {
        "universe": "vanilla",
        "executable": attempt.script,
        "initialdir": os.getcwd(),
        "output": attempt.log,
        "error": attempt.folder / "job.err",
        "log": attempt.folder / "condor.log",
        "should_transfer_files": "NO",
        "request_cpus": resources.cores,
        "request_memory": f"{resources.memory}MB",
        "request_disk": f"{resources.disk}MB" if resources.disk else "",
        "request_gpus": resources.gpus or "",
        "batch_name": f"ck-{job.name}",
        "environment": '"COLLIDEKIT_JOB_ID=$(Cluster).$(Process)"',
        "job_max_vacate_time": site.stop_before_end,
        f"MY.{condor.walltime_attribute}": resources.walltime if condor.walltime_attribute else "",
        "requirements": " && ".join(requirements),
        "MY.SendCredential": "True" if site.credentials.kerberos else "",
        "x509userproxy": voms_proxy() if site.credentials.voms else "",
        **condor.lines,
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items() if value != "") + "queue\n"
