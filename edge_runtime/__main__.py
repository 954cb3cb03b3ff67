"""Command line of the device: `python -m edge_runtime classify IMAGE --model F`. Standard library only."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from edge_runtime.errors import EdgeproofError, InputError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except EdgeproofError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m edge_runtime", description="Run an exported image classifier on this device.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    classify = commands.add_parser("classify", help="name what is on a picture")
    classify.add_argument("images", nargs="+", metavar="IMAGE", help="PNG, JPEG, BMP, or NPY with uint8 pixels")
    classify.add_argument("--top", type=int, default=1, metavar="K", help="show the K likeliest classes (default 1)")
    classify.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_model(classify)
    classify.set_defaults(run=_classify)
    selftest = commands.add_parser("selftest", help="compare this device's answers with the golden vectors")
    selftest.add_argument("--golden", metavar="FILE", help="the .golden.npz beside the model (default: the bundle's)")
    _add_model(selftest)
    selftest.set_defaults(run=_selftest)
    job = commands.add_parser("job", help="run one job from stdin (JSON lines; used by edgeproof)")
    job.set_defaults(run=_job)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="FILE", help=".tflite or .onnx (default: the bundle's)")
    parser.add_argument("--runtime", default="auto", help="ai-edge-litert, tflite-runtime or onnxruntime (default: the first installed)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")


def _fill_in(options: argparse.Namespace) -> None:
    """Model, runtime and golden vectors of the bundle, where the user names no model."""
    from edge_runtime.bundled import find_bundled

    if options.model is not None:
        return
    bundled = find_bundled()
    if bundled is None:
        raise InputError("No model: name one with --model (only a bundle brings its own).")
    options.model = bundled.model
    if options.runtime == "auto":
        options.runtime = bundled.manifest["runtime"]
    options.golden = getattr(options, "golden", None) or bundled.golden


def _classify(options: argparse.Namespace) -> int:
    from edge_runtime.classifier import Classifier
    from edge_runtime.native_output import silenced

    _fill_in(options)
    with silenced(2):
        classifier = Classifier.load(options.model, options.runtime, options.threads)
    for path in options.images:
        prediction = classifier.predict_file(path)
        probabilities = prediction.probabilities[0]
        ranked = sorted(range(len(probabilities)), key=lambda index: -probabilities[index])[: max(1, options.top)]
        best = [{"label": prediction.names[index], "probability": round(float(probabilities[index]), 6)} for index in ranked]
        if options.json:
            print(json.dumps({"image": path, "top": best, "runtime": classifier.model.runtime}))
        else:
            print(f"{path}: " + ", ".join(f"{entry['label']} ({entry['probability']:.1%})" for entry in best))
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from pathlib import Path

    from edge_runtime.classifier import Classifier
    from edge_runtime.golden import GoldenVectors, self_test

    _fill_in(options)
    if options.golden is None:
        raise InputError("No golden vectors: name the .golden.npz beside the model with --golden.")
    outcome = self_test(
        Classifier.load(options.model, options.runtime, options.threads), GoldenVectors.load(Path(options.golden)), Path(options.model).name
    )
    verdict = "PASS" if outcome.passed else "FAIL"
    print(
        f"{verdict}: {outcome.images} golden images, {outcome.labels_differing} labels differ, "
        f"largest difference {outcome.largest_difference:.2%} of the outputs' range (tolerated {outcome.tolerance:.2%})"
    )
    return 0 if outcome.passed else 1


def _job(options: argparse.Namespace) -> int:
    from edge_runtime.jobs import serve_job

    return serve_job()


if __name__ == "__main__":
    sys.exit(main())
