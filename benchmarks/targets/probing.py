"""What machine answers at an address: `edge_runtime/machine.py` itself, run by the board's Python; nothing is left there."""

from __future__ import annotations

import importlib.resources
import json

from benchmarks.targets.board_folder import chatty
from benchmarks.targets.openssh import OpenSsh
from edge_runtime.machine import Machine


def probe(ssh: OpenSsh) -> Machine:
    """The machine at the other end. TargetError when it cannot be reached or has no Python."""
    said = ssh.run("python3 -", stdin=importlib.resources.files("edge_runtime").joinpath("machine.py").read_bytes())
    try:
        facts = json.loads(said)
    except ValueError:
        raise chatty(ssh, said) from None
    return Machine(facts["architecture"], tuple(facts["python"]), facts["libc"])
