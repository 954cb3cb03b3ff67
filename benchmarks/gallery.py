"""The dashboard's gallery: the pictures whose answer changed, with the probabilities before and after."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.outputs import Outputs
from benchmarks.reports.wording import subjects

MAX_CARDS = 24  # of one artifact: a broken export would fill the page with thousands; the table of verdicts counts them all
_SIDE = 84  # pixels
_MAX_LOSSLESS = 4096  # values in a picture: a larger one goes into the page as a JPEG


@dataclass(frozen=True)
class Flip:
    """One picture whose answer changed in one artifact. Labels are class numbers."""

    index: int
    label: int
    baseline: int
    export: int
    row: int  # of the parity report, the first on which it flipped
    subject: str
    where: Mapping[str, tuple[str, ...]]  # kernels by runtime, everywhere it flipped to this answer

    @property
    def kind(self) -> str:
        if self.baseline == self.label:
            return "broken"
        return "fixed" if self.export == self.label else "wrong before and after"

    @property
    def places(self) -> str:
        """The runtimes; their kernels where others than the default ones changed the answer, too."""
        return ", ".join(name if kernels == ("default",) else f"{name} ({', '.join(kernels)})" for name, kernels in self.where.items())


def flips_of(parity: Mapping[str, Any]) -> list[Flip]:
    """One entry a picture, artifact and answer, wherever it flipped; broken ones first: they are what one looks for."""
    names = subjects(parity["rows"])
    flips: dict[tuple[int, str, int], Flip] = {}
    for entry in parity["flips"]:
        row = parity["rows"][entry["row"]]
        key = (entry["index"], row["artifact"], entry["export"])
        former = flips.get(key) or Flip(**entry, subject=names[row["artifact"]], where={})
        runtime = row["runtime"] if row["target"] == "local" else f"{row['runtime']} at {row['target']}"
        flips[key] = replace(former, where={**former.where, runtime: (*former.where.get(runtime, ()), row["kernels"])})
    order = ("broken", "fixed", "wrong before and after")
    return sorted(flips.values(), key=lambda flip: (order.index(flip.kind), flip.index))


def cards(
    flips: Sequence[Flip], names: Sequence[str], images: np.ndarray, baseline: np.ndarray, outputs: Callable[[int], Outputs], most: int = MAX_CARDS
) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The first flips of each artifact, `most` at most, and their pictures by index as data addresses (images uint8 [n, H, W, C]).

    A card is {index, subject, places, runtimes, kind, truth, bars}: `bars` are of both answers and the truth (class, probability before, after).
    `baseline` is probabilities [n, classes]; `outputs` gives a row's answers.
    """
    taken: dict[str, list[Flip]] = {}
    for flip in flips:
        taken.setdefault(flip.subject, []).append(flip)
    shown = [flip for flip in flips if flip in taken[flip.subject][:most]]
    after: dict[tuple[int, int], np.ndarray] = {}
    for row in dict.fromkeys(flip.row for flip in shown):
        chosen, answers = [flip.index for flip in shown if flip.row == row], outputs(row)
        probabilities = replace(answers, raw=answers.answered[chosen]).probabilities
        after |= {(row, index): line for index, line in zip(chosen, probabilities, strict=True)}
    made = [
        {
            "index": flip.index,
            "subject": flip.subject,
            "places": flip.places,
            "runtimes": list(flip.where),
            "kind": flip.kind,
            "truth": names[flip.label],
            "bars": [
                (names[label], round(float(baseline[flip.index][label]), 4), round(float(after[flip.row, flip.index][label]), 4))
                for label in dict.fromkeys((flip.baseline, flip.export, flip.label))
            ],
        }
        for flip in shown
    ]
    return made, {index: _data_uri(images[index]) for index in sorted({flip.index for flip in shown})}


def _data_uri(image: np.ndarray) -> str:
    from PIL import Image

    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    kind = "PNG" if image.size <= _MAX_LOSSLESS else "JPEG"
    if max(picture.size) > _SIDE:
        picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, kind, optimize=True)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(buffer.getvalue()).decode()
