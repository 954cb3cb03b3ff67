"""The `edgeproof` program, and `python -m edgeproof`. Imports nothing before it can say what is missing."""

from __future__ import annotations

import sys

_OURS = {"train", "export", "benchmarks", "edge_runtime", "edgeproof"}
_CHECK = {"typer", "rich", "jinja2", "altair", "vl_convert", "PIL", "flatbuffers", "google", "onnxruntime", "ai_edge_litert", "shiv"}


def script() -> None:
    """Run the command line and exit with its code."""
    try:
        from edgeproof.cli import main
    except ModuleNotFoundError as error:
        print(f"error: {missing_package(error)}", file=sys.stderr)
        sys.exit(2)
    sys.exit(main())


def missing_package(error: ModuleNotFoundError) -> str:
    """Which extra brings the missing package. Raises the error itself when it is a module of ours: that is a fault, not a choice."""
    name = (error.name or "").split(".")[0]
    if not name or name in _OURS:
        raise error
    extra = "check" if name in _CHECK else "toolkit"
    return f"This command needs {name}, which is not installed: pip install 'edgeproof[{extra}]'."


if __name__ == "__main__":
    script()
