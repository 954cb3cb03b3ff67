"""The command line. Parses, calls a stage, prints, and gives the exit code; imports what a command needs only when it runs.

Exit codes: 0 done or PASS, 1 verdict FAIL or a failed format, 2 bad usage or bad input, 3 INCONCLUSIVE, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from edge_runtime.errors import EdgeproofError
from edgeproof import __version__
from edgeproof.__main__ import missing_package
from edgeproof.commands import bundling, calibrating, checking, making, proving, using

app = typer.Typer(
    name="edgeproof",
    help="Ship a Keras image classifier to the edge, with proof: train, fold, fine-tune for int8, export, prove parity, measure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


INTERRUPTED = 130  # as shells have it: 128 + SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code. Users' mistakes become one line on stderr."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # tensorflow-model-optimization works on tf_keras only
    try:
        code = int(app(args=arguments, prog_name="edgeproof", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _fail(error.format_message())
    except EdgeproofError as error:
        return _fail(str(error))
    except ModuleNotFoundError as error:
        return _fail(missing_package(error))
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # typer turns Ctrl-C into this code, saying nothing
        print("\ninterrupted: finished stages are kept, nothing is half-written", file=sys.stderr)
    return code


def _fail(message: str) -> int:
    if message:  # empty when help was shown instead
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def run_command(command: str) -> None:
    """`python -m <package> …` as `edgeproof <command> …`."""
    sys.exit(main([command, *sys.argv[1:]]))


@app.callback(invoke_without_command=True)
def _options(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False) -> None:
    if version:
        print(f"edgeproof {__version__}")
        raise typer.Exit


COMMANDS = (
    making.run, making.train, making.qat, making.export, checking.check, proving.parity, proving.bench, proving.dashboard,
    bundling.bundle, calibrating.calibrate_board, using.predict, using.doctor,
)  # fmt: skip

for command in COMMANDS:
    app.command()(command)
