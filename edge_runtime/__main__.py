"""Command line of the device: `python -m edge_runtime classify IMAGE --model F`. Standard library only; in a bundle the model is there."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

from edge_runtime.errors import EdgeproofError, first_line

_READER_GONE = 128 + 13  # as shells report a program that SIGPIPE ended

Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


class _Parser(argparse.ArgumentParser):
    """With pages of a fixed width: argparse makes a formatter for every option it is told of, and each would look for the terminal's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=partial(argparse.HelpFormatter, width=120), **options)


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ or ö
    try:
        code = _run(given)
        if sys.stdout:  # None when it was closed
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # `| head -1` has read enough
        _let_go_of_stdout()
        return _READER_GONE
    except OSError as error:  # a full disk, mostly
        _let_go_of_stdout()
        named = f"{error.filename}: " if error.filename else ""  # numpy's "1024 requested and 896 written" has neither name nor number
        print(f"error: Reading or writing failed ({named}{error.strerror or first_line(error)}): is the disk full?", file=sys.stderr)
        return 2


def _run(given: Sequence[str]) -> int:
    options = _parser(given[:1]).parse_args(given)
    try:
        return int(options.run(options))
    except EdgeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ImportError as error:  # numpy is not here, or is for another machine; an interpreter's failure has its own sentence
        print(f"error: {_cause(error)}. `doctor` says what works here.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _let_go_of_stdout() -> None:
    """Python flushes it once more when it ends, and would complain again."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _cause(error: ImportError) -> str:
    from edge_runtime.foreign import foreign_library

    name = (error.name or "numpy").split(".")[0]
    return f"{name} does not import: {foreign_library(name) or first_line(error)}"


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
    """Knows the command that stands first, or all of them when none does: every option that is not asked for delays the answer."""
    file = os.path.basename(sys.argv[0])
    program = file if file.endswith(".pyz") else "python -m edge_runtime"
    parser = _Parser(prog=program, description="Run an exported image classifier on this device.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", prog=program)  # left to find it out, it formats a help page
    for name in set(first) & set(_COMMANDS) or _COMMANDS:
        _COMMANDS[name](commands)
    return parser


def _add_classify(commands: Commands) -> None:
    parser = commands.add_parser("classify", help="name what is on a picture")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="PNG, JPEG, BMP, or NPY with uint8 pixels")
    parser.add_argument("--top", type=int, default=1, metavar="K", help="show the K likeliest classes (default 1)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--explain", metavar="FILE.png", help="draw every step from the picture to the model's input")
    _add_photo(parser)
    _add_model(parser)
    parser.set_defaults(run=_command("classify"))


def _add_selftest(commands: Commands) -> None:
    parser = commands.add_parser("selftest", help="compare this device's answers with the golden vectors")
    _add_golden(parser)
    _add_model(parser)
    parser.set_defaults(run=_command("selftest"))


def _add_bench(commands: Commands) -> None:
    parser = commands.add_parser("bench", help="time one image, on every runtime that is here")
    parser.add_argument("--images", metavar="FILE", help=".npy with uint8 images [N, H, W, C] (default: those of the golden vectors)")
    parser.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of samples for each runtime (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object a runtime")
    _add_golden(parser)
    _add_model(parser)
    parser.set_defaults(run=_command("bench"))


def _add_doctor(commands: Commands) -> None:
    parser = commands.add_parser("doctor", help="say what works on this machine, and what to do about what does not")
    parser.add_argument("--model", metavar="FILE", help="run this once on every runtime (in a bundle: its own)")
    parser.add_argument("--sha256", metavar="HEX", help="refuse a model with another checksum")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.set_defaults(run=_command("doctor"))


def _add_serve(commands: Commands) -> None:
    parser = commands.add_parser("serve", help="a page to draw on and an HTTP API (outside a bundle: pip install 'edgeproof[serve]')")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="default %(default)s; 0 = any that is free")
    _add_photo(parser)
    _add_model(parser)
    parser.set_defaults(run=_command("serve"))


def _add_job(commands: Commands) -> None:
    commands.add_parser("job", help="run one job from stdin (JSON lines; used by edgeproof)").set_defaults(run=_job)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", help=".tflite or .onnx (in a bundle: its own)")
    parser.add_argument("--sha256", metavar="HEX", help="refuse a model with another checksum (in a bundle: as its manifest says)")
    parser.add_argument("--runtime", help="ai-edge-litert, tflite-runtime or onnxruntime (default: the first that works)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")


def _add_photo(parser: argparse.ArgumentParser) -> None:
    about = "read pictures as: fit (resize only), light-ink, dark-ink (strokes on paper); default: the model's own"
    parser.add_argument("--photo", default="auto", metavar="HOW", help=about)


def _add_golden(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--golden", metavar="FILE", help="the .golden.npz beside the model (in a bundle: its own)")


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """The function of `edge_runtime.commands` with that name, imported when it is called."""

    def run(options: argparse.Namespace) -> int:
        from edge_runtime import commands

        return int(getattr(commands, name)(options))

    return run


def _job(options: argparse.Namespace) -> int:
    from edge_runtime.jobs import serve_job

    return serve_job()


_COMMANDS: dict[str, Callable[[Commands], None]] = {
    "classify": _add_classify,
    "selftest": _add_selftest,
    "bench": _add_bench,
    "doctor": _add_doctor,
    "serve": _add_serve,
    "job": _add_job,
}

if __name__ == "__main__":
    sys.exit(main())
