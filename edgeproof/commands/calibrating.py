"""The command for owners of a board: calibrate-board."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgeproof.options import DEFAULT_WORKSPACE, JsonOption, RuntimeOption, SecondsOption, VerboseOption, WorkspaceOption, open_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.calibration import Calibration


def calibrate_board(
    address: Annotated[str | None, typer.Argument(metavar="[ssh://HOST]", help="Your board: ssh://user@host[:port].", show_default=False)] = None,
    board: Annotated[
        str | None, typer.Option("--board", metavar="BOARD", help="Which it is, if it does not say so itself: pi3, zero2, pi4, pi5.")
    ] = None,
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="BOARD", help="Drop the scale measured for this board; the published one is used again.")
    ] = None,
    runtime: RuntimeOption = None,
    seconds: SecondsOption = 2.0,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Time the artifacts on your own board, and from then on predict for its kind with the scale that was measured there."""
    from edgeproof.stages import board_scales, measuring_boards

    if (address is None) == (forget is None):
        raise typer.BadParameter("give the board's address, ssh://HOST, or --forget BOARD")
    place, console = open_workspace(workspace, as_json, verbose)
    if address is None:
        file = board_scales.forget(str(forget))
        console.give({"forgotten": forget, "file": str(file)})
        console.show(f"Forgotten: times on sim-{forget} are predicted with the published scale again.")
        return 0
    runtimes = runtime or measuring_boards.DEFAULT_RUNTIMES
    calibration = measuring_boards.calibrate(place, console, address=address, board=board, runtimes=runtimes, seconds=seconds)
    file = board_scales.keep(calibration)
    console.give({"board": calibration.board, **calibration.fields, "file": str(file)})
    from benchmarks.reports.calibrated import calibration_table

    console.show(calibration_table(calibration))
    console.show(_sentence(calibration, file))
    console.show(f"Next: edgeproof bench --on sim-{calibration.board}{place.option}")
    return 0


def _sentence(calibration: Calibration, file: Path) -> str:
    own = calibration.fields
    return (
        f"Times there are {own['scale']:.3f} times the predicted ones, by {own['artifacts']} artifacts; each predicted by the others is "
        f"{own['leave_one_out']['mean']:.1%} off, at worst {own['leave_one_out']['worst']:.1%}. From now on times on sim-{calibration.board} are "
        f"predicted with that scale, from {own['low']:.2f} to {own['high']:.2f} of the prediction; kept in {file}."
    )
