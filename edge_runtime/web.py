"""The page and the HTTP API of one classifier, as a Starlette application.

GET  /              the page
GET  /v1/model      what the model is: name, classes, input
POST /v1/classify   a picture (image/png, image/jpeg, application/x-npy, or application/json: rows of pixels) to its classes;
                    ?top=K names more than one, ?steps=1 sends the picture of each preprocessing step along
GET  /healthz       is it up, how many wait

No request names a file, and none is held without limit: its size, the time it takes and the number of those that wait are bounded.
"""

from __future__ import annotations

import asyncio
import sys
import time
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_runtime.classifier import Classifier
from edge_runtime.errors import EdgeproofError, first_line
from edge_runtime.inference_queue import Full, InferenceQueue
from edge_runtime.pictures import TooLargeError
from edge_runtime.preprocess import Preprocessing
from edge_runtime.requests import READERS, Request, answer

MAX_BODY = 1_000_000  # bytes
DRAINED = 16 * MAX_BODY  # of a body that is too large, so much is read and thrown away: a client still sending would not hear the answer
BODY_SECONDS = 5.0
QUEUE_LENGTH = 32
RETRY_SECONDS = 1  # what a client is told that found the queue full
_NOTHING_FOREIGN = "; ".join(  # what the page may load and ask: the server it comes from, and nobody else
    (
        "default-src 'none'",
        "script-src 'unsafe-inline'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def create_app(classifier: Classifier, contract: Preprocessing, name: str) -> Starlette:
    """contract: the model's own, or as `--photo` has it. name: of the model's file."""
    inferences = InferenceQueue[Request, dict[str, Any]](lambda request: answer(classifier, contract, request), QUEUE_LENGTH)
    about = _about(classifier, contract, name)
    html = resources.files("edge_runtime").joinpath("page/index.html").read_bytes()

    async def page(request: HttpRequest) -> Response:
        return Response(html, media_type="text/html", headers={**_HEADERS, "Content-Security-Policy": _NOTHING_FOREIGN})

    async def model(request: HttpRequest) -> Response:
        return JSONResponse(about, headers=_HEADERS)

    async def health(request: HttpRequest) -> Response:
        return JSONResponse({"status": "ok", "waiting": inferences.waiting}, headers=_HEADERS)

    async def classify(request: HttpRequest) -> Response:
        try:
            return JSONResponse(await inferences.answer(await _read(request)), headers=_HEADERS)
        except Full:
            raise HTTPException(503, "Too many requests wait already: try again in a moment.", {"Retry-After": str(RETRY_SECONDS)}) from None
        except TooLargeError as error:
            raise HTTPException(413, str(error)) from None
        except EdgeproofError as error:
            raise HTTPException(400, str(error)) from None
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it

    routes = [
        Route("/", page),
        Route("/v1/model", model),
        Route("/healthz", health),
        Route("/v1/classify", classify, methods=["POST"]),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error, Exception: _unforeseen})


def _about(classifier: Classifier, contract: Preprocessing, name: str) -> dict[str, Any]:
    model, metadata = classifier.model, classifier.metadata
    return {
        "file": name,
        "name": metadata.name,
        "format": metadata.format,
        "classes": list(metadata.class_names),
        "input": list(contract.shape),
        "ink": contract.ink is not None,
        "runtime": f"{model.runtime} {model.runtime_version}",
    }


async def _read(request: HttpRequest) -> Request:
    """The request with its whole body; HTTPException 413, 415 or 408."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in READERS:
        raise HTTPException(415, f"The content type must be one of {', '.join(READERS)}.")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _body(request)
    except TimeoutError:
        raise HTTPException(408, f"The body did not arrive within {BODY_SECONDS:g} s.", {"Connection": "close"}) from None
    top = request.query_params.get("top", "1")
    return Request(
        body, kind, int(top[:6]) if top.isascii() and top.isdecimal() else 1, request.query_params.get("steps") == "1", time.perf_counter()
    )


async def _body(request: HttpRequest) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
        else:
            parts.clear()
        if size > DRAINED:
            break
    if size > MAX_BODY:
        raise HTTPException(413, f"The body is larger than {MAX_BODY:,} bytes: send a smaller picture.", {"Connection": "close"})
    return b"".join(parts)


async def _error(request: HttpRequest, error: Exception) -> Response:
    code, detail, headers = (error.status_code, error.detail, error.headers) if isinstance(error, HTTPException) else (500, "", None)
    return JSONResponse({"error": detail}, code, {**_HEADERS, **(headers or {})})


async def _unforeseen(request: HttpRequest, error: Exception) -> Response:
    print(f"error: {request.url.path}: {type(error).__name__}: {first_line(error)}", file=sys.stderr, flush=True)
    return JSONResponse({"error": "This picture could not be classified."}, 500, _HEADERS)
