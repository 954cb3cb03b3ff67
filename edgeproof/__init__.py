"""edgeproof: ship a Keras image classifier to the edge, with proof.

import edgeproof

result = edgeproof.run("runs/mine", model="m.h5", data="pictures/")
result.verdict, result.ship            # "PASS", the artifact to ship
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.errors import EdgeproofError
    from edgeproof.api import RunResult, run

__all__ = ["EdgeproofError", "RunResult", "__version__", "run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import on first use: `edgeproof --help` must not load the API."""
    if name in __all__:
        from edgeproof import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
