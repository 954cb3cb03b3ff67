"""What a request to the server may hold, and what it is answered. Everything here runs in the one thread that holds the interpreter."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.pictures import Step, decode_steps
from edge_runtime.preprocess import Preprocessing
from edge_runtime.replies import likeliest, told


@dataclass(frozen=True)
class Request:
    """The body of a request, its content type, and what is asked for."""

    body: bytes
    type: str  # a key of READERS
    top: int  # how many of the likeliest classes to name
    pictures: bool  # send each step's picture along
    received: float  # time.perf_counter() when it was whole


def answer(classifier: Classifier, contract: Preprocessing, request: Request) -> dict[str, Any]:
    """The JSON of the answer; InputError for a body that cannot be used."""
    begin = time.perf_counter()
    steps = READERS[request.type](request.body, contract)
    ready = time.perf_counter()
    probabilities = classifier.predict(steps[-1].pixels[np.newaxis]).probabilities[0]
    end = time.perf_counter()
    return {
        "top": likeliest(probabilities, classifier.metadata.class_names, request.top),
        "probabilities": [round(float(share), 6) for share in probabilities],
        "milliseconds": {
            "waiting": round(1000 * (begin - request.received), 3),
            "picture": round(1000 * (ready - begin), 3),
            "model": round(1000 * (end - ready), 3),
        },
        "steps": told(steps, pictures=request.pictures),
    }


def _picture(body: bytes, contract: Preprocessing) -> list[Step]:
    return decode_steps(io.BytesIO(body), "the body", contract, array=False, foreign=True)


def _array(body: bytes, contract: Preprocessing) -> list[Step]:
    return decode_steps(io.BytesIO(body), "the body", contract, array=True)


def _json(body: bytes, contract: Preprocessing) -> list[Step]:
    try:
        values = np.asarray(json.loads(body))
    except (ValueError, RecursionError):
        raise InputError("The body is no JSON array of pixels, rows of equal length.") from None
    if values.dtype.kind not in "iu" or values.size == 0 or values.min() < 0 or values.max() > 255:
        raise InputError("A JSON array holds the picture's pixels as whole numbers 0..255, row by row.")
    file = io.BytesIO()
    np.save(file, values.astype(np.uint8))
    return _array(file.getvalue(), contract)


# By content type.
READERS: dict[str, Callable[[bytes, Preprocessing], list[Step]]] = {
    "image/png": _picture,
    "image/jpeg": _picture,
    "application/x-npy": _array,
    "application/json": _json,
}
