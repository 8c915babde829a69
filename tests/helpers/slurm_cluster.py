"""A real Slurm of two virtual nodes on this machine, for the tests; it needs root and the Debian packages of Slurm and munge."""

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
OF_ACCOUNTING = ("mariadbd", "mariadb-install-db", "slurmdbd")
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")


def missing(accounting: bool = False) -> str:
    """Return why there can be no Slurm here; empty where there can."""
    programs = PROGRAMS + (OF_ACCOUNTING if accounting else ())
    absent = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if absent:
        more = " slurmdbd mariadb-server" if accounting else ""
        return f"{', '.join(absent)} not installed (apt-get install slurmctld slurmd slurm-client munge{more})"
    return "" if os.geteuid() == 0 else "the daemons of Slurm need root"


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(number)]
    ports = [entry.getsockname()[1] for entry in sockets]
    for entry in sockets:
        entry.close()
    return ports


@dataclass
class SlurmCluster:
    """Daemons below one folder; ``environment`` makes sbatch and squeue talk to them."""

    folder: Path
    accounting: bool = False
    control_groups: bool = False
    nodes: tuple[str, str] = ("n1", "n2")
    """Names; those of clusters with control groups that run at once must differ."""
    daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{os.environ['PATH']}:/usr/sbin"}

    def start(self) -> None:
        self.folder.chmod(0o755)
        self._start_munge()
        (self.folder / "slurm.conf").write_text(self._configuration())
        if self.control_groups:
            lines = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nConstrainRAMSpace=yes\nMinRAMSpace=30\n"
            (self.folder / "cgroup.conf").write_text(lines)
        if self.accounting:
            self._start_database()
        self._daemon("slurmctld", "-D", "-i")
        for node in self.nodes:
            self.start_node(node)
        self.wait_for_nodes("idle", *self.nodes)

    def start_node(self, node: str) -> None:
        self._daemon("slurmd", "-D", "-N", node)

    def crash(self, node: str) -> None:
        """Kill the daemon of a node and all that it runs, as a power cut does."""
        jobs = self.run("squeue", "-h", "-t", "RUNNING", "-w", node, "-o", "%i").split()
        for daemon in self.daemons:
            if daemon.poll() is None and daemon.args[-2:] == ["-N", node]:  # type: ignore[index]
                daemon.kill()
                daemon.wait()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                values = (process / "environ").read_bytes().split(b"\0")
                step = (process / "cmdline").read_bytes()
            except OSError:
                continue
            mine = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode() in values
            if mine and any(
                f"SLURM_JOB_ID={job}".encode() in values or step.startswith(f"slurmstepd: [{job}.".encode())
                for job in jobs
            ):
                os.kill(int(process.name), signal.SIGKILL)

    def stop(self) -> None:
        if len(self.daemons) > 2:
            self.run("scancel", "--user=root", check=False)
            self._wait_until_empty()
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in reversed(self.daemons):
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        if self.control_groups:
            for node in self.nodes:
                for group in sorted(MEMORY_GROUPS.parent.glob(f"*/slurm_{node}/**/"), reverse=True):
                    with suppress(OSError):
                        group.rmdir()

    def _wait_until_empty(self) -> None:
        end = time.monotonic() + 15
        while self.run("squeue", "-h", "-t", "RUNNING,COMPLETING", check=False) and time.monotonic() < end:
            time.sleep(0.2)

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env={**os.environ, **self.environment}, timeout=60
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_for_nodes(self, state: str, *nodes: str) -> None:
        end, found = time.monotonic() + 60, ""
        while time.monotonic() < end:
            found = self.run("sinfo", "-h", "-N", "-o", "%N %T", check=False)
            if set(found.split("\n")) >= {f"{node} {state}" for node in nodes}:
                return
            time.sleep(0.3)
        logs = "\n".join(path.read_text()[-1500:] for path in self.folder.glob("*.log"))
        raise RuntimeError(f"Slurm did not come up: {found}\n{logs}")

    def _daemon(self, name: str, *words: str) -> None:
        log = (self.folder / f"{name}.{len(self.daemons)}.log").open("wb")
        environment = {**os.environ, **self.environment}
        self.daemons.append(
            subprocess.Popen([name, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment)
        )
        log.close()

    def _start_munge(self) -> None:
        place = self.folder / "munge"
        place.mkdir(mode=0o711)
        (place / "key").write_bytes(os.urandom(1024))
        (place / "key").chmod(0o400)
        names = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        options = [f"--{option}={place / name}" for option, name in names.items()]
        self._daemon("munged", "--foreground", "--force", *options)
        self._wait_for(place / "socket")

    def _start_database(self) -> None:
        place = self.folder / "mariadb"
        account = ["--user=root", f"--datadir={place}"]
        subprocess.run(["mariadb-install-db", *account], check=True, capture_output=True, timeout=120)
        database = place / "socket"
        self._daemon("mariadbd", *account, f"--socket={database}", "--skip-networking=0", f"--port={self.ports[4]}",
                     "--bind-address=127.0.0.1", f"--pid-file={place / 'pid'}")  # fmt: skip
        self._wait_for(database)
        grant = "CREATE DATABASE slurm; CREATE USER s@127.0.0.1 IDENTIFIED BY 's'; GRANT ALL ON slurm.* TO s@127.0.0.1;"
        self.run("mariadb", f"--socket={database}", "-e", grant)
        configuration = self.folder / "slurmdbd.conf"
        configuration.write_text(
            f"AuthType=auth/munge\nAuthInfo=socket={self.folder / 'munge/socket'}\nDbdHost=localhost\nDbdPort={self.ports[3]}\n"
            f"SlurmUser=root\nPidFile={self.folder / 'slurmdbd.pid'}\nStorageType=accounting_storage/mysql\nStorageHost=127.0.0.1\n"
            f"StoragePort={self.ports[4]}\nStorageUser=s\nStoragePass=s\nStorageLoc=slurm\n"
        )
        configuration.chmod(0o600)
        self._daemon("slurmdbd", "-D")
        end = time.monotonic() + 60
        while not self.run("sacctmgr", "-i", "add", "cluster", "virtual", check=False):
            if time.monotonic() > end:
                raise RuntimeError((self.folder / f"slurmdbd.{len(self.daemons) - 1}.log").read_text())
            time.sleep(0.5)

    def _wait_for(self, path: Path) -> None:
        end = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < end, f"{path} did not appear"
            time.sleep(0.1)

    def _configuration(self) -> str:
        self.ports = _free_ports(5)
        host = socket.gethostname().partition(".")[0]
        storage = "accounting_storage/slurmdbd" if self.accounting else "accounting_storage/none"
        nodes = "".join(
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=4000 State=UNKNOWN\n"
            for node, port in zip(self.nodes, self.ports[1:3], strict=True)
        )
        groups = ("cgroup", "cgroup", "cgroup") if self.control_groups else ("linuxproc", "none", "linux")
        killer = "" if self.control_groups else "JobAcctGatherParams=OverMemoryKill\n"
        return (
            f"ClusterName=virtual\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={self.ports[0]}\nSlurmUser=root\nSlurmdUser=root\n"
            f"AuthType=auth/munge\nAuthInfo=socket={self.folder / 'munge/socket'},cred_expire=5\nCredType=cred/munge\n"
            f"StateSaveLocation={self.folder / 'state'}\nSlurmdSpoolDir={self.folder}/spool.%n\n"
            f"SlurmctldPidFile={self.folder / 'slurmctld.pid'}\nSlurmdPidFile={self.folder}/slurmd.%n.pid\n"
            f"ProctrackType=proctrack/{groups[0]}\nTaskPlugin=task/{groups[1]}\nMpiDefault=none\nReturnToService=2\nSwitchType=switch/none\n"
            "SelectType=select/cons_tres\nSelectTypeParameters=CR_Core_Memory\nSchedulerType=sched/builtin\n"
            "SchedulerParameters=sched_interval=1\nKillWait=5\nMinJobAge=300\nOverTimeLimit=0\nInactiveLimit=0\n"
            f"JobAcctGatherType=jobacct_gather/{groups[2]}\nJobAcctGatherFrequency=1\n{killer}"
            f"AccountingStorageType={storage}\nAccountingStorageHost=localhost\nAccountingStoragePort={self.ports[3]}\n"
            f"AccountingStoragePass={self.folder / 'munge/socket'}\n"
            f"SlurmctldTimeout=30\nSlurmdTimeout=10\n{nodes}"
            "PreemptType=preempt/partition_prio\nPreemptMode=CANCEL\n"
            "PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=3\n"
            "PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=2\n"
        )
