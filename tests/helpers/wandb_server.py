"""A server of Weights & Biases on this machine: it answers ``wandb sync`` and keeps the rows of history that arrive."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = {
    "id": "run", "name": "run", "displayName": "run", "sweepName": None, "historyLineCount": 0, "config": None,
    "project": {"id": "project", "name": "collidekit", "entity": {"id": "entity", "name": "tester"}},
}  # fmt: skip
ANSWER = {
    "data": {
        "viewer": {"id": "tester", "entity": "tester", "username": "tester", "flags": "{}", "teams": {"edges": []}},
        "serverInfo": {"features": []},
        "upsertBucket": {"bucket": BUCKET, "inserted": True},
        "createRunFiles": {"runID": "run", "uploadHeaders": [], "files": []},
        "model": {"bucket": None},
    }
}


class Server(ThreadingHTTPServer):
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.history: dict[int, dict[str, Any]] = {}
        """Rows by their line."""
        self.names: list[str] = []
        """Display names of runs."""
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [self.history[line] for line in sorted(self.history)]

    def take(self, path: str, content: Any) -> Any:
        """Return the answer to a request."""
        if path.endswith("/file_stream"):
            sent = (content.get("files") or {}).get("wandb-history.jsonl", {"offset": 0, "content": []})
            for line, text in enumerate(sent["content"], sent["offset"]):
                self.history[line] = json.loads(text)
            return {}
        self.names += [name] if (name := (content.get("variables") or {}).get("displayName")) else []
        return ANSWER


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        answer = json.dumps(self.server.take(self.path, json.loads(body or b"{}"))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@contextmanager
def running() -> Iterator[Server]:
    """A server for the time of a block."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
