"""The command that makes the file for a board: bundle."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof.options import DEFAULT_WORKSPACE, JsonOption, VerboseOption, WorkspaceOption, open_workspace, refuse_without

if TYPE_CHECKING:
    from edgeproof.stages.shipping import Bundle


def bundle(
    board: Annotated[str, typer.Option("--for", metavar="BOARD", help="pi5, pi4, pi3, zero2, ssh://user@host[:port] (looked at), or local.")],
    system: Annotated[str | None, typer.Option("--os", help="Raspberry Pi OS on it: bookworm (default) or trixie.")] = None,
    runtime: Annotated[
        list[str] | None,
        typer.Option("--runtime", help="What executes the model there (may be repeated; default: tflite-runtime, or ai-edge-litert on Trixie)."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option("--model", help="An exported .tflite or .onnx, proved or not (default: the one that parity recommends).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.pyz", help="Where it goes (default: bundles/ in the workspace).")] = None,
    sign: Annotated[Path | None, typer.Option("--sign", metavar="KEY", help="SSH key that signs model, verdict and manifest, and the file.")] = None,
    require_signature: Annotated[
        bool, typer.Option("--require-signature", help="With --sign: the bundle runs no model whose signature or verdict does not hold.")
    ] = False,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Make one executable file for a board, with the model, its runtime and all they need. The board needs only Python."""
    from edgeproof.stages import shipping

    refuse_without("--sign", sign is not None, **{"require-signature": require_signature})
    place, console = open_workspace(workspace, as_json, verbose)
    signing_with = shipping.Signing(sign, require_signature) if sign else None
    built = shipping.bundle(
        place, console, board=board, system=system, runtimes=runtime or (), model=model, output=out, signing_with=signing_with
    )  # fmt: skip
    console.give(_fields(built))
    console.show(_sentence(built, board, sign))
    return 0


def _fields(built: Bundle) -> dict[str, object]:
    from edgeproof.workspace import file_sha256

    return {
        "bundle": str(built.path),
        "bytes": built.path.stat().st_size,
        "sha256": file_sha256(built.path),
        "machine": built.machine._asdict(),
        "runtimes": dict(built.versions),
        "models": list(built.payload.models),
        "verdict": built.payload.verdict,
        "seconds": round(built.seconds, 1),
    }


def _sentence(built: Bundle, board: str, key: Path | None) -> str:
    from export.platforms import least_glibc

    runtimes = " and ".join(f"{name} {version}" for name, version in built.versions.items())
    glibc = ".".join(map(str, least_glibc(built.machine, built.versions)))
    needs = f"{built.machine.architecture}, Python {'.'.join(map(str, built.machine.python))}, glibc {glibc} or newer"
    signed = f" Signed with {key}: {built.path.name}.sig is for the whole file." if key else ""
    return (
        f"{built.path}: {built.path.stat().st_size / 1e6:.1f} MB in {built.seconds:.0f} s, with {', '.join(built.payload.models)} "
        f"({built.payload.verdict}) and {runtimes}, for {needs}.{signed} {_next(built, board)}"
    )


def _next(built: Bundle, board: str) -> str:
    from edgeproof.stages.shipping import LOCAL

    command = "selftest" if built.payload.golden else "classify picture.png"  # without golden vectors there is nothing to test against
    if board == LOCAL:
        return f"Next: python3 {shlex.quote(str(built.path))} {command}"
    return f"Next: copy it there and run ./{shlex.quote(built.path.name)} {command}"
