"""What machine answers at an address, asked through the user's own `ssh`; nothing is left there."""

from __future__ import annotations

import importlib.resources
import json

from benchmarks.targets.address import Address
from benchmarks.targets.openssh import OpenSsh, chatty
from edge_runtime.machine import Machine

_TELL_MODEL = """
import json
print(json.dumps({"model": this_processor().board or ""}))
"""


def probe(address: str) -> Machine:
    """The machine behind `ssh://[user@]host[:port]`. InputError for what is no address, TargetError when none answers or it has no Python."""
    return look(OpenSsh(Address.parse(address)))


def ask_model(address: str) -> str:
    """What the board there calls itself, as "Raspberry Pi 4 Model B Rev 1.5"; "" where it does not say. Raises as `probe` does."""
    ssh = OpenSsh(Address.parse(address))
    program = importlib.resources.files("edge_runtime").joinpath("processor.py").read_text() + _TELL_MODEL
    said = ssh.run("python3 -", stdin=program.encode())
    try:
        return str(json.loads(said)["model"])
    except (ValueError, KeyError, TypeError):
        raise chatty(ssh.address, said) from None


def look(ssh: OpenSsh) -> Machine:
    """The same, where the connection's options are there already."""
    said = ssh.run("python3 -", stdin=importlib.resources.files("edge_runtime").joinpath("machine.py").read_bytes())
    try:
        facts = json.loads(said)
        return Machine(facts["architecture"], tuple(facts["python"]), facts["libc"])
    except (ValueError, KeyError, TypeError):
        raise chatty(ssh.address, said) from None
