"""What machine answers at an address, asked through the user's own `ssh`; nothing is left there."""

from __future__ import annotations

import importlib.resources
import json
import subprocess
from urllib.parse import urlsplit

from edge_runtime.errors import InputError, first_line
from edge_runtime.machine import Machine

_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60


def probe(address: str) -> Machine:
    """The machine behind `ssh://[user@]host[:port]`. InputError when it cannot be reached or has no Python."""
    place = urlsplit(address)
    if not place.hostname or place.path.strip("/") or address.split("//", 1)[1].startswith("-"):
        raise InputError(f"Expected ssh://user@host[:port], got {address}.")
    program = importlib.resources.files("edge_runtime").joinpath("machine.py").read_text()
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}", address.rstrip("/"), "python3 -"]
    try:
        done = subprocess.run(command, input=program, capture_output=True, text=True, timeout=_ANSWER_SECONDS)
        facts = json.loads(done.stdout.splitlines()[-1])
    except FileNotFoundError:
        raise InputError(f"Looking at {address} takes ssh: install it (package openssh-client).") from None
    except subprocess.TimeoutExpired:
        raise InputError(f"{address} did not answer within {_ANSWER_SECONDS} s.") from None
    except (ValueError, IndexError):
        said = first_line(ValueError(done.stderr)) if done.stderr.strip() else f"exit code {done.returncode}"
        raise InputError(f"Cannot look at {address}: {said}.") from None
    return Machine(facts["architecture"], tuple(facts["python"]), facts["libc"])
