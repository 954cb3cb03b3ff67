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
    classify.add_argument("--explain", metavar="FILE.png", help="draw every step from the picture to the model's input")
    _add_photo(classify)
    _add_model(classify)
    classify.set_defaults(run=_classify)
    selftest = commands.add_parser("selftest", help="compare this device's answers with the golden vectors")
    selftest.add_argument("--golden", required=True, metavar="FILE", help="the .golden.npz beside the model")
    _add_model(selftest)
    selftest.set_defaults(run=_selftest)
    serve = commands.add_parser("serve", help="a page to draw on and an HTTP API (extra: edgeproof[serve])")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s: this machine only)")
    serve.add_argument("--port", type=int, default=8000, help="default %(default)s; 0 = any that is free")
    _add_photo(serve)
    _add_model(serve)
    serve.set_defaults(run=_serve)
    job = commands.add_parser("job", help="run one job from stdin (JSON lines; used by edgeproof)")
    job.set_defaults(run=_job)
    return parser


def _add_photo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--photo",
        default="auto",
        metavar="HOW",
        help="read pictures as: fit (resize only), light-ink, dark-ink (strokes on paper); default: the model's own",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, metavar="FILE", help=".tflite or .onnx")
    parser.add_argument("--runtime", default="auto", help="ai-edge-litert, tflite-runtime or onnxruntime (default: the first installed)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")


def _classify(options: argparse.Namespace) -> int:
    from pathlib import Path

    from edge_runtime.answers import likeliest, told
    from edge_runtime.classifier import Classifier
    from edge_runtime.explain import write_panels
    from edge_runtime.native_output import silenced

    with silenced(2):
        classifier = Classifier.load(options.model, options.runtime, options.threads)
    if options.explain and len(options.images) > 1:
        raise InputError(f"--explain draws the steps of one picture, got {len(options.images)}.")
    contract = classifier.metadata.preprocessing.reading(options.photo)
    for path in options.images:
        steps = contract.load_steps(path)
        prediction = classifier.predict(steps[-1].pixels[None])
        best = likeliest(prediction.probabilities[0], prediction.names, options.top)
        answer = f"{path}: " + ", ".join(f"{entry['label']} ({entry['probability']:.1%})" for entry in best)
        if options.explain:
            write_panels(Path(options.explain), steps, answer)
        print(json.dumps({"image": path, "top": best, "runtime": classifier.model.runtime, "steps": told(steps)}) if options.json else answer)
    return 0


def _serve(options: argparse.Namespace) -> int:
    from pathlib import Path

    from edge_runtime.classifier import Classifier
    from edge_runtime.native_output import silenced
    from edge_runtime.server import serve

    with silenced(2):
        classifier = Classifier.load(options.model, options.runtime, options.threads)
    contract = classifier.metadata.preprocessing.reading(options.photo)
    serve(classifier, contract, Path(options.model).name, options.host, options.port)
    return 0


def _selftest(options: argparse.Namespace) -> int:
    from pathlib import Path

    from edge_runtime.classifier import Classifier
    from edge_runtime.golden import GoldenVectors, self_test

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
