"""A headless Chromium, told what to do over its pipe."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-pipe",
)


def found() -> str | None:
    """Return the path of a Chromium of this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


START = """
import os, sys
read, write, *words = sys.argv[1:]
for place, handle in ((13, int(read)), (14, int(write)), (3, 13), (4, 14)):
    os.dup2(handle, place)
os.execv(words[0], words)
"""
"""The browser reads from 3 and writes to 4."""


class Chromium:
    """A browser with one page. Problems that the page reports, such as blocked scripts, are kept in ``problems``."""

    def __init__(self, folder: Path) -> None:
        path = found()
        assert path is not None
        self._to_read, to_write = os.pipe()
        from_read, self._to_write = os.pipe()

        self._process = subprocess.Popen(
            [sys.executable, "-c", START, str(from_read), str(to_write), path, *FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(from_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(from_read)
        os.close(to_write)
        self._rest, self._last, self._events = b"", 0, list[dict[str, Any]]()
        self.problems: list[str] = []
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._to_read)
        os.close(self._to_write)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command to the page and return its answer."""
        return self._send(method, self._session, **parameters)

    def open(self, address: str) -> None:
        """Load a page and wait until it is complete."""
        self._events.clear()
        self.send("Page.navigate", url=address)
        self.wait_for("Page.loadEventFired")

    def run(self, script: str) -> Any:
        """Return the value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def submit(self, script: str) -> None:
        """Run a script that leads to another page, and wait for it."""
        self._events.clear()
        self.send("Runtime.evaluate", expression=script, userGesture=True)
        self.wait_for("Page.loadEventFired")

    def press(self, key: str, code: int) -> None:
        """Press a key."""
        text = {"Enter": "\r"}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def width(self, pixels: int, height: int = 800) -> None:
        """Set the size of the window, a phone's below 500."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=height, deviceScaleFactor=1, mobile=pixels < 500
        )

    def dark(self, on: bool) -> None:
        """Ask for dark pages."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if on else "light"}]
        self.send("Emulation.setEmulatedMedia", features=features)

    def scripts(self, on: bool) -> None:
        """Switch JavaScript on or off for the pages that are loaded from now on."""
        self.send("Emulation.setScriptExecutionDisabled", value=not on)

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG file."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def wait_for(self, event: str, seconds: float = 30) -> None:
        """Wait for an event of the page."""
        until = time.monotonic() + seconds
        while not any(one["method"] == event for one in self._events):
            assert time.monotonic() < until, f"no {event}"
            self._take()

    def _send(self, method: str, session: str = "", **parameters: Any) -> dict[str, Any]:
        self._last += 1
        message = {
            "id": self._last,
            "method": method,
            "params": parameters,
            **({"sessionId": session} if session else {}),
        }
        os.write(self._to_write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._take()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])

    def _take(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._to_read, 1 << 20)
            assert piece, "the browser ended"
            self._rest += piece
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "method" in message:
            self._events.append(message)
            if message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                entry = message["params"]["entry"]
                self.problems.append(f"{entry['text']} {entry.get('url', '')}")
            if message["method"] == "Runtime.exceptionThrown":
                self.problems.append(json.dumps(message["params"])[:500])
        return message
