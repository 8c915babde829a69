"""A real server that speaks S3 on this machine (moto, in a process of its own)."""

import contextlib
import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request

BUCKET = "tagger-bucket"


def missing() -> str:
    """What these tests lack, if anything."""
    return ", ".join(name for name in ("s3fs", "moto", "flask") if not importlib.util.find_spec(name))


class S3Server:
    """Serves one bucket, which is lost when the server ends."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "nobody",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            with contextlib.suppress(OSError):
                bucket = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
                urllib.request.urlopen(bucket, timeout=5).close()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError("moto does not start")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
