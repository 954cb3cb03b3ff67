"""Every proof there is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evidence import (
    check_alone,
    cold_start,
    damaged,
    damaged_strangers,
    dashboard,
    error_rates,
    fast_path,
    foreign,
    full_system,
    harness_cost,
    matrix,
    measuring,
    onnx_int8,
    peers,
    photos,
    prediction,
    serve_load,
    small_sets,
)
from evidence.findings import Finding, Places

_PARITY = ("benchmarks/**/*.py", "edge_runtime/*.py", "edgeproof/**/*.py")
_EXPORTED = ("artifacts/manifest.json", "validation.npz")


@dataclass(frozen=True)
class Proof:
    """One experiment. It is repeated when a file it depends on has changed: `sources` in the clone, `files` in both workspaces."""

    name: str
    about: str
    prove: Callable[[Places], list[Finding]]
    sources: tuple[str, ...]  # glob patterns
    files: tuple[str, ...] = ()


PROOFS: dict[str, Proof] = {
    proof.name: proof
    for proof in (
        Proof(
            "error-rates",
            "the verdict's false PASS and FAIL, coverage of its bounds, McNemar",
            error_rates.prove,
            ("evidence/error_rates.py", "benchmarks/statistics.py", "benchmarks/parity.py"),
        ),
        Proof(
            "small-sets",
            "300 images instead of 8,400",
            small_sets.prove,
            ("evidence/small_sets.py", *_PARITY),
            ("parity.json", *_EXPORTED),
        ),
        Proof(
            "onnx-int8",
            "fusion and speed of the ONNX int8 file",
            onnx_int8.prove,
            ("evidence/onnx_int8.py", "export/*.py", "edge_runtime/*.py", "benchmarks/*.py"),
            _EXPORTED,
        ),
        Proof(
            "peers",
            "time of our files against what other tools make of the same baselines",
            peers.prove,
            ("evidence/peers.py", "export/*.py", "edge_runtime/*.py", "benchmarks/*.py", "edgeproof/stages/peering.py"),
            ("baseline.keras", "qat.h5", *_EXPORTED),
        ),
        Proof(
            "matrix",
            "all formats, runtimes and kernels: verdicts and time",
            matrix.prove,
            ("evidence/matrix.py", "export/*.py", *_PARITY),
            _EXPORTED,
        ),
        Proof(
            "damaged",
            "exports spoilt on purpose: does parity fail them and name the layer?",
            damaged.prove,
            ("evidence/damag*.py", "export/embed.py", "export/tapping*.py", *_PARITY),
            ("layers.npz", *_EXPORTED),
        ),
        Proof(
            "damaged-strangers",
            "the same of exports that no workspace knows, beside the Keras model",
            damaged_strangers.prove,
            ("evidence/damag*.py", "export/*.py", "train/*.py", *_PARITY),
            ("baseline.keras", "qat.h5", *_EXPORTED),
        ),
        Proof(
            "check-alone",
            "size and speed of [check] alone",
            check_alone.prove,
            ("evidence/check_alone.py", "pyproject.toml", "constraints.txt", "export/*.py", "edge_runtime/*.py", "edgeproof/**/*.py"),
            _EXPORTED,
        ),
        Proof(
            "photos",
            "phone photos through the documented steps",
            photos.prove,
            ("evidence/photos.py", "evidence/phone.py", "train/ink.py", "edge_runtime/*.py"),
            _EXPORTED,
        ),
        Proof(
            "serve-load",
            "64 clients at once for a minute",
            serve_load.prove,
            ("evidence/serve_load.py", "evidence/phone.py", "edge_runtime/*.py"),
            _EXPORTED,
        ),
        Proof(
            "dashboard",
            "the page in a browser: phone and desktop, light and dark; ten workspaces with 2,000 lines of history each",
            dashboard.prove,
            ("evidence/dashboard.py", "evidence/page_checks.py", "benchmarks/**/*.py", "benchmarks/templates/*", "edgeproof/stages/*.py"),
            ("parity.json", *_EXPORTED),
        ),
        Proof(
            "prediction",
            "predicted times of boards: against published ones, twice from nothing, and which of two files is faster",
            prediction.prove,
            ("evidence/prediction.py", "benchmarks/board_times.json", "benchmarks/**/*.py", "benchmarks/**/*.c", "edge_runtime/*.py"),
            _EXPORTED,
        ),
        Proof(
            "full-system",
            "instructions of a simulated board against a whole emulated computer",
            full_system.prove,
            (
                "evidence/full_system.py",
                "evidence/board_init.py",
                "evidence/archive.py",
                "benchmarks/**/*.py",
                "benchmarks/**/*.c",
                "edge_runtime/*.py",
            ),
            _EXPORTED,
        ),
        Proof(
            "fast-path",
            "one image through Classifier against the interpreter's own calls",
            fast_path.prove,
            ("evidence/fast_path.py", "evidence/alone.py", "edge_runtime/*.py"),
            _EXPORTED,
        ),
        Proof(
            "measuring",
            "one file timed against itself: is a difference called where there is one, and only there?",
            measuring.prove,
            ("evidence/measuring.py", "edge_runtime/*.py", "benchmarks/statistics.py"),
            _EXPORTED,
        ),
        Proof(
            "harness-cost",
            "the measuring loop against a hand-written one",
            harness_cost.prove,
            ("evidence/harness_cost.py", "evidence/alone.py", "evidence/fast_path.py", "edge_runtime/*.py", "benchmarks/statistics.py"),
            _EXPORTED,
        ),
        Proof(
            "foreign",
            "result files that are damaged, another tool's or newer",
            foreign.prove,
            ("evidence/foreign.py", "benchmarks/**/*.py", "edgeproof/stages/*.py"),
            ("parity.json", *_EXPORTED),
        ),
        Proof(
            "cold-start",
            "a process's first answer against a script's",
            cold_start.prove,
            ("evidence/cold_start.py", "edge_runtime/*.py"),
            _EXPORTED,
        ),
    )
}
