"""What a proof is given and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeproof.workspace import DEFAULT, Workspace

ROOT = Path(__file__).parent.parent  # the clone
DEFAULT_SEED = "runs/seed"


@dataclass(frozen=True)
class Finding:
    """One claim, put to the test."""

    claim: str
    target: str
    figure: str  # what was measured, with its unit
    met: bool
    command: str  # that measures it again


@dataclass(frozen=True)
class Places:
    """The finished workspaces that proofs look at; they are copied, never written to."""

    compact: Path = Path(DEFAULT)
    seed: Path = Path(DEFAULT_SEED)

    @property
    def workspaces(self) -> dict[str, Workspace]:
        return {"compact": Workspace(self.compact), "seed": Workspace(self.seed)}

    def command(self, proof: str) -> str:
        compact = "" if self.compact == Path(DEFAULT) else f" -w {self.compact}"
        seed = "" if self.seed == Path(DEFAULT_SEED) else f" --seed {self.seed}"
        return f"python -m evidence {proof}{compact}{seed}"
