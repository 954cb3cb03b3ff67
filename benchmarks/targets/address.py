"""`ssh://user@host:port`, taken apart so that no part of it can be read as anything else by `ssh` or a shell."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.errors import InputError

SCHEME = "ssh://"
# A host may be an alias of the user's ssh configuration. No part begins with "-": ssh would take it for an option.
_PATTERN = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.+-]*)@)?"
    r"(?:(?P<host>[A-Za-z0-9_][A-Za-z0-9_.-]*)|\[(?P<six>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


@dataclass(frozen=True)
class Address:
    """Where a board is. `user` and `port` are None where the user's configuration decides."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `ssh://[user@]host[:port]`; InputError when it is anything else."""
        match = _PATTERN.fullmatch(text)
        port = int(match["port"]) if match and match["port"] else None
        if not match or (port is not None and not 0 < port < 65536):
            raise InputError(f"{text!r} is no address of a board: expected ssh://host, ssh://user@host or ssh://user@host:port.")
        return cls(match["host"] or match["six"], match["user"], port)

    @property
    def arguments(self) -> list[str]:
        """What `ssh` gets to find the board: options first, the destination last."""
        user, port = ["-l", self.user] if self.user else [], ["-p", str(self.port)] if self.port else []
        return [*user, *port, self.host]

    @property
    def by_hand(self) -> str:
        """What a person types to log in."""
        return " ".join(["ssh", *(["-p", str(self.port)] if self.port else []), f"{self.user}@{self.host}" if self.user else self.host])

    def __str__(self) -> str:
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh://{user}{f'[{self.host}]' if ':' in self.host else self.host}{port}"
