"""A server of its own process, as users start it."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[str]
    address: str
    port: int

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any], Any]:
        """(status, headers in small letters, the answer: an object where it is JSON, else bytes)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, json.loads(content) if found.get("content-type") == "application/json" else content

    def classify(self, body: bytes, kind: str, query: str = "") -> tuple[int, Any]:
        status, _, answer = self.ask("POST", f"/v1/classify{query}", body, {"Content-Type": kind})
        return status, answer


def command(model: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "edge_runtime", "serve", "--model", str(model), *arguments]


def impatient(model: Path, body_seconds: float, seconds: float) -> list[str]:
    """The same server with shorter time-outs."""
    limits = f"web.BODY_SECONDS, connections.SECONDS = {body_seconds}, {seconds}"
    program = f"import sys; from edge_runtime import connections, web; {limits}; from edge_runtime.__main__ import main; sys.exit(main())"
    return [sys.executable, "-c", program, "serve", "--model", str(model), "--port", "0"]


@contextmanager
def serving(started: Sequence[str]) -> Iterator[Server]:
    with subprocess.Popen(started, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://\S+:(\d+)", process.stdout.readline())
            assert found, process.stderr and process.stderr.read()
            yield Server(process, found[0], int(found[1]))
        finally:
            process.kill()
