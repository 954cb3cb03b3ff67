"""What the sub-commands do. Everything is imported where it is used: a first answer should not wait for what it does not need."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_runtime.collection import no_collection
from edge_runtime.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from edge_runtime.bundled import Bundled
    from edge_runtime.classifier import Classifier


class Chosen(NamedTuple):
    """The model to open: the one that was named, or the bundle's."""

    model: Path
    runtime: str
    sha256: str | None
    assume: Mapping[str, Any] | None = None


def choose_model(options: argparse.Namespace) -> Chosen:
    """InputError when no model is named and none came along."""
    if options.model:
        return Chosen(Path(options.model), options.runtime or "auto", options.sha256)
    bundled = _bundled("--model FILE")
    return Chosen(bundled.model, options.runtime or bundled.runtime, options.sha256 or bundled.sha256.get(bundled.model.name), bundled.assume)


def _bundled(option: str) -> Bundled:
    from edge_runtime.bundled import find_bundled

    bundled = find_bundled()
    if bundled is None:
        raise InputError(f"Which file? Give {option}: no model came along with this program.")
    return bundled


def _golden(options: argparse.Namespace) -> Path:
    """The golden vectors that were named, or the bundle's, whose checksum is looked at."""
    if options.golden:
        return Path(options.golden)
    from edge_runtime.interpreter import check_sha256, read_model_file

    bundled = _bundled("--golden FILE")
    if bundled.golden is None:
        raise InputError(
            "No golden vectors: none came along, as edgeproof did not export this model. "
            "`bench` takes --images FILE.npy instead; `selftest` has nothing to compare with."
        )
    if bundled.golden.name in bundled.sha256:
        check_sha256(read_model_file(bundled.golden), bundled.sha256[bundled.golden.name], str(bundled.golden))
    return bundled.golden


def open_classifier(options: argparse.Namespace) -> Classifier:
    """The chosen model, opened without the interpreter's greetings."""
    with no_collection():  # importing numpy and an interpreter leaves no garbage to look for, and looking takes 2 % of a start
        from edge_runtime.classifier import Classifier
        from edge_runtime.native_output import silenced

        chosen = choose_model(options)
        with silenced(2):
            classifier = Classifier.load(chosen.model, chosen.runtime, options.threads, assume=chosen.assume, sha256=chosen.sha256)
    if classifier.undeclared:
        print(f"{chosen.model} does not say how it takes pixels, nor what its classes are called: pixel / 255 and numbers assumed.", file=sys.stderr)
    return classifier


def classify(options: argparse.Namespace) -> int:
    if options.top < 1:
        raise InputError(f"Expected --top to be at least 1, got {options.top}.")
    if options.explain and len(options.images) > 1:
        raise InputError(f"--explain draws the steps of one picture, got {len(options.images)}.")
    classifier = open_classifier(options)
    from edge_runtime.replies import likeliest, told  # only now: it imports numpy, with the collector on

    contract = classifier.metadata.preprocessing.reading(options.photo)
    for path in options.images:
        steps = contract.load_steps(path)
        prediction = classifier.predict(steps[-1].pixels[None])
        best = likeliest(prediction.probabilities[0], prediction.names, options.top)
        answer = f"{path}: " + ", ".join(f"{entry['label']} ({entry['probability']:.1%})" for entry in best)
        if options.explain:
            from edge_runtime.explain import write_panels

            write_panels(Path(options.explain), steps, answer)
        if options.json:
            import json

            from edge_runtime.jobs import describe

            answer = json.dumps({"image": path, "top": best, "steps": told(steps), **describe(classifier)})
        print(answer)
    return 0


def serve(options: argparse.Namespace) -> int:
    from edge_runtime.server import serve as answer_requests

    classifier = open_classifier(options)
    contract = classifier.metadata.preprocessing.reading(options.photo)
    answer_requests(classifier, contract, choose_model(options).model.name, options.host, options.port)
    return 0


def selftest(options: argparse.Namespace) -> int:
    from edge_runtime.golden import GoldenVectors, self_test

    classifier, golden = open_classifier(options), GoldenVectors.load(_golden(options))
    outcome = self_test(classifier, golden, choose_model(options).model.name)
    verdict = "PASS" if outcome.passed else "FAIL"
    ties = " (near ties, within the tolerance)" if outcome.passed and outcome.labels_differing else ""
    print(
        f"{verdict}: {outcome.images} golden images, {outcome.labels_differing} labels differ{ties}, "
        f"largest difference {outcome.largest_difference:.2%} of the outputs' range (tolerated {outcome.tolerance:.2%})"
    )
    return 0 if outcome.passed else 1


def bench(options: argparse.Namespace) -> int:
    import json

    from edge_runtime import bench as benching

    if not 0 <= options.seconds < float("inf"):
        raise InputError(f"Expected --seconds to be a number of at least 0, got {options.seconds:g}.")
    chosen = choose_model(options)
    images = _images_to_time(options)
    asked = [] if chosen.runtime == "auto" else [chosen.runtime]
    timed = benching.bench(
        chosen.model,
        images,
        benching.runtimes_for(chosen.model, asked),
        sha256=chosen.sha256,
        assume=chosen.assume,
        seconds=options.seconds,
        threads=options.threads,
        tell=lambda text: print(text, file=sys.stderr),
    )
    for one in timed:
        print(json.dumps(one.summary()) if options.json else benching.as_line(one))
    return 1 if any(one.problem for one in timed) else 0


def _images_to_time(options: argparse.Namespace) -> np.ndarray:
    """uint8 [N, H, W] or [N, H, W, C]: those of the file, which may hold a single one, or the golden vectors'."""
    from edge_runtime.arrays import read_npy
    from edge_runtime.golden import GoldenVectors

    if not options.images:
        return GoldenVectors.load(_golden(options)).images
    images = read_npy(Path(options.images), "save uint8 pixels with numpy.save")
    one = images.ndim == 2 or (images.ndim == 3 and images.shape[-1] in (1, 3))  # no picture is so narrow: these are its channels
    return images[None] if one else images


def doctor(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from edge_runtime.bundled import find_bundled
    from edge_runtime.doctor import as_lines, examine

    came_along = find_bundled()
    bundled = None if options.model else came_along
    model = bundled.model if bundled else Path(options.model) if options.model else None
    sha256 = options.sha256 or (bundled.sha256.get(bundled.model.name) if bundled else None)
    found = examine(model, sha256, bundled=came_along is not None or sys.argv[0].endswith(".pyz"))
    if options.json:
        import json

        print(json.dumps({**asdict(found), "fit": found.fit}))
    else:
        print("\n".join(as_lines(found)))
    return 0 if found.fit else 1
