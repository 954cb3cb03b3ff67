"""What machine answers at an address, asked through the user's own `ssh`; nothing is left there."""

from __future__ import annotations

import importlib.resources
import json

from benchmarks.targets.address import Address
from benchmarks.targets.openssh import OpenSsh, chatty
from edge_runtime.machine import Machine


def probe(address: str) -> Machine:
    """The machine behind `ssh://[user@]host[:port]`. InputError for what is no address, TargetError when none answers or it has no Python."""
    return look(OpenSsh(Address.parse(address)))


def look(ssh: OpenSsh) -> Machine:
    """The same, where the connection's options are there already."""
    said = ssh.run("python3 -", stdin=importlib.resources.files("edge_runtime").joinpath("machine.py").read_bytes())
    try:
        facts = json.loads(said)
        return Machine(facts["architecture"], tuple(facts["python"]), facts["libc"])
    except (ValueError, KeyError, TypeError):
        raise chatty(ssh.address, said) from None
