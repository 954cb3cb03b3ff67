"""64 clients at once ask the server for a minute: what do they hear, how long do they wait, does its memory grow?"""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edge_runtime.errors import RuntimeProblem
from evidence.findings import Finding, Places
from evidence.phone import photograph

CLIENTS, SECONDS = 64, 60.0
SETTLED = 0.15  # of the time: then memory is counted as what it should stay
FLAT = 0.1


@dataclass
class Heard:
    """What the clients were answered, together."""

    seconds: list[float] = field(default_factory=list)  # of each answer 200, from sending to the last byte
    codes: Counter[str] = field(default_factory=Counter)  # "200", "503", or the name of an exception


def prove(places: Places) -> list[Finding]:
    workspace = places.workspaces["compact"]
    artifact = next(found for found in workspace.artifacts() if found.format == "tflite-int8")
    images = workspace.read_arrays("validation.npz")["images"][:8, ..., 0]
    rng = np.random.default_rng(0)
    return load(artifact.path, [photograph(image, rng) for image in images], places.command("serve-load"))


def load(model: Path, photos: Sequence[bytes], command: str, clients: int = CLIENTS, seconds: float = SECONDS) -> list[Finding]:
    server = [sys.executable, "-P", "-m", "edge_runtime", "serve", "--model", str(model), "--port", "0", "--photo", "light-ink"]
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if "http://" not in line:
                raise RuntimeProblem("The server did not start.")
            port = int(line.split("http://")[1].split()[0].rsplit(":", 1)[1])
            heard, memory = besiege(port, process.pid, photos, clients, seconds)
        finally:
            process.terminate()
    return findings(heard, memory, command, clients, seconds)


def besiege(port: int, server: int, photos: Sequence[bytes], clients: int, seconds: float) -> tuple[Heard, list[int]]:
    """(what was heard, the server's resident memory in bytes, over time)."""
    heard, memory, end = Heard(), [], time.monotonic() + seconds
    threads = [threading.Thread(target=_ask, args=(port, photos[number % len(photos)], end, heard)) for number in range(clients)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end:
        memory.append(resident_bytes(server))
        time.sleep(seconds / 100)
    for thread in threads:
        thread.join()
    return heard, memory


def _ask(port: int, photo: bytes, end: float, heard: Heard) -> None:
    """One client: the next photo as soon as the last is answered; after a 503 as long as it was told to wait."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < end:
        begin = time.perf_counter()
        try:
            connection.request("POST", "/v1/classify", photo, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            heard.codes[type(error).__name__] += 1
            connection.close()
            continue
        heard.codes[str(response.status)] += 1
        if response.status == 200:
            heard.seconds.append(time.perf_counter() - begin)
        elif response.status == 503:
            time.sleep(min(float(response.headers["Retry-After"]), max(0.0, end - time.monotonic())))
    connection.close()


def resident_bytes(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def findings(heard: Heard, memory: Sequence[int], command: str, clients: int, seconds: float) -> list[Finding]:
    what = f"{clients} parallel clients on loopback for {seconds:g} s, a photo each time"
    told = ", ".join(f"{count:,} times {code}" for code, count in sorted(heard.codes.items()))
    milliseconds = [1000 * value for value in heard.seconds] or [float("nan")]
    p50, p99 = np.percentile(milliseconds, (50, 99))
    settled = memory[int(SETTLED * len(memory)) :]
    middle = statistics.median(settled)
    spread = max(abs(value / middle - 1) for value in settled)
    return [
        Finding(
            f"{what}: no error but a deliberate 503", "200 and 503 only", told, set(heard.codes) <= {"200", "503"} and "200" in heard.codes, command
        ),
        Finding(
            f"{what}: time to the answer",
            "reported",
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, {len(heard.seconds) / seconds:.0f} answers/s",
            True,
            command,
        ),
        Finding(
            f"{what}: the server's memory is flat",
            f"±{100 * FLAT:.0f} % after the first {100 * SETTLED:.0f} % of the time",
            f"{middle / 1e6:.0f} MB ±{100 * spread:.1f} %",
            spread <= FLAT,
            command,
        ),
    ]
