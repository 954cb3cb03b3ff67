"""The HTTP API: right answers, and limits that hold."""

from __future__ import annotations

import io
import json
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_runtime import requests, web
from edge_runtime.classifier import Classifier
from edge_runtime.errors import InputError
from edge_runtime.requests import Request
from evidence.phone import photograph
from evidence.serve_load import load
from tests.serving import Server, command, impatient, serving
from train.datasets import load_dataset


@pytest.fixture(scope="module")
def model(tiny_artifacts: dict[str, Path]) -> Path:
    return tiny_artifacts["tflite-int8"]


@pytest.fixture(scope="module")
def server(model: Path) -> Iterator[Server]:
    with serving(command(model, "--port", "0")) as running:
        yield running


def encoded(pixels: np.ndarray, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    if format == "NPY":
        np.save(file, pixels)
    else:
        Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def huge_png(side: int) -> bytes:
    """The header of a picture, and no picture behind it."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", side, 8, 8, 0, 0, 0, 0), b"IDAT"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)


def test_every_form_of_the_same_pixels_gets_the_same_answer(server: Server, model: Path, tiny_images: np.ndarray) -> None:
    pixels = tiny_images[3, ..., 0]
    expected = Classifier.load(model).predict(pixels[np.newaxis])
    bodies = {
        "image/png": encoded(pixels),
        "application/x-npy": encoded(pixels, "NPY"),
        "application/json": json.dumps(pixels.tolist()).encode(),
        "Application/JSON; charset=utf-8": json.dumps(pixels[..., np.newaxis].tolist()).encode(),
    }
    for kind, body in bodies.items():
        status, answer = server.classify(body, kind, "?top=2")
        assert status == 200, answer
        assert answer["probabilities"] == pytest.approx(expected.probabilities[0], abs=1e-5)
        assert answer["top"][0]["label"] == expected.names[expected.labels[0]]
        assert len(answer["top"]) == 2
        assert set(answer["milliseconds"]) == {"waiting", "picture", "model"}
        assert "picture" not in answer["steps"][0]
    status, answer = server.classify(encoded(np.kron(pixels, np.ones((50, 50), np.uint8)), "JPEG"), "image/jpeg", "?steps=1")
    assert status == 200
    assert [step["step"] for step in answer["steps"]] == ["upright", "resize"]
    assert all(step["picture"].startswith("data:image/png;base64,") for step in answer["steps"])


def test_a_black_photo_is_no_sign_for_the_server_either(model: Path) -> None:
    classifier = Classifier.load(model)
    contract = classifier.metadata.preprocessing.reading("light-ink")
    black = Request(encoded(np.zeros((300, 300), np.uint8)), "image/png", 1, False, 0.0)
    with pytest.raises(InputError, match="Nothing is to be seen on the paper"):
        requests.answer(classifier, contract, black)


def test_it_says_what_it_is(server: Server) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    status, headers, page = server.ask("GET", "/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"<canvas" in page
    assert server.ask("GET", "/healthz")[::2] == (200, {"status": "ok", "waiting": 0})
    about = server.ask("GET", "/v1/model")[2]
    assert (about["classes"], about["input"], about["ink"]) == (["a", "b", "c"], [8, 8, 1], False)


@pytest.mark.parametrize(
    ("body", "kind", "status", "said"),
    [
        (b"", "image/png", 400, "as a picture"),
        (np.random.default_rng(0).bytes(900), "image/jpeg", 400, "as a picture"),
        (b"GIF89a" + bytes(50), "image/png", 400, "as a picture"),
        (b"\x93NUMPY\x01\x00\x10\x00{'descr': (\n\n\n\n\n\n", "application/x-npy", 400, "as an array"),
        (encoded(np.zeros((9, 8), np.uint8), "NPY"), "application/x-npy", 400, "This model takes images"),
        (encoded(np.zeros((8, 8)), "NPY"), "application/x-npy", 400, "uint8"),
        (b"[[1, 2], [3]]", "application/json", 400, "JSON array"),
        (b"[" * 100_000, "application/json", 400, "JSON array"),
        (b'{"pixels": 1}', "application/json", 400, "whole numbers"),
        (b"[[0.5]]", "application/json", 400, "whole numbers"),
        (b"[[256]]", "application/json", 400, "whole numbers"),
        (b"[[1, 2], [3, 4]]", "application/json", 400, "This model takes images"),
        (b"[]", "application/json", 400, "whole numbers"),
        (b"\xff\xfe", "application/json", 400, "JSON array"),
        (huge_png(4097), "image/png", 413, "at most 4096×4096"),
        (bytes(web.MAX_BODY + 1), "image/png", 413, "larger than 1,000,000 bytes"),
        (b"x", "text/plain", 415, "image/png"),
        (b"x", "", 415, "image/png"),
        (b"x", "multipart/form-data; boundary=x", 415, "image/png"),
    ],
)
def test_a_request_that_cannot_be_answered_hears_why_in_one_line(server: Server, body: bytes, kind: str, status: int, said: str) -> None:
    got, answer = server.classify(body, kind)
    assert got == status, answer
    assert list(answer) == ["error"]
    assert said in answer["error"]
    assert "\n" not in answer["error"]


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/v1/classify/../../x", "/static/index.html", "//etc/passwd", "/v1/model/..%2f", "/\x7f"],
)
def test_no_path_leads_anywhere_else(server: Server, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = client.makefile("rb").read()
    assert answer.split(b" ")[1] in (b"404", b"400")
    assert b"root:" not in answer


def test_another_method_is_refused(server: Server) -> None:
    assert server.ask("GET", "/v1/classify")[0] == 405
    assert server.ask("POST", "/healthz", b"x")[0] == 405


def test_a_body_without_a_stated_length_is_bounded_too(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            client.sendall(b"%x\r\n" % 100_000 + bytes(100_000) + b"\r\n")
        client.sendall(b"0\r\n\r\n")
        assert client.recv(4000).startswith(b"HTTP/1.1 413")


@pytest.fixture(scope="module")
def hasty(model: Path) -> Iterator[Server]:
    with serving(impatient(model, body_seconds=1, seconds=2)) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "heard", "least", "most"), [(b"", b"", 1.9, 6), (b"Content-Length: 100\r\n\r\nabc", b"HTTP/1.1 408", 0.9, 1.9)], ids=["header", "body"]
)
def test_a_client_that_stops_half_way_is_not_waited_for(hasty: Server, sent: bytes, heard: bytes, least: float, most: float) -> None:
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as client:
        begin = time.monotonic()
        client.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n" + sent)
        answer = client.makefile("rb").read()
        assert least < time.monotonic() - begin < most
    assert answer.startswith(heard)
    assert bool(answer) == bool(heard)


def test_a_client_that_does_not_read_its_answers_is_cut_off(hasty: Server) -> None:
    body = encoded(np.random.default_rng(0).integers(0, 256, (240, 240), np.uint8))
    request = b"POST /v1/classify?steps=1 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(20)
        client.connect(("127.0.0.1", hasty.port))
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # not TimeoutError: the server ends it, not we
            client.sendall(400 * request)


def test_more_requests_than_may_wait_are_told_to_come_again(server: Server) -> None:
    slow = encoded(np.random.default_rng(0).integers(0, 256, (560, 560, 3), np.uint8), "PNG")
    assert len(slow) < web.MAX_BODY
    with ThreadPoolExecutor(3 * web.QUEUE_LENGTH) as clients:
        heard = list(
            clients.map(lambda _: server.ask("POST", "/v1/classify?steps=1", slow, {"Content-Type": "image/png"}), range(3 * web.QUEUE_LENGTH))
        )
    codes = [status for status, _, _ in heard]
    assert set(codes) == {200, 503}
    assert codes.count(200) >= web.QUEUE_LENGTH
    assert {headers.get("retry-after") for status, headers, _ in heard if status == 503} == {str(web.RETRY_SECONDS)}
    assert server.ask("GET", "/healthz")[2]["waiting"] == 0


def test_parallel_clients_hear_200_or_503_and_memory_stays(model: Path) -> None:
    photos = [photograph(digit, np.random.default_rng(0)) for digit in load_dataset("digits").images[:3, ..., 0]]
    errors, times, memory = load(model, photos, "", clients=16, seconds=5)
    assert errors.met, errors.figure
    assert "p99" in times.figure
    assert float(memory.figure.split("±")[1].split(" ")[0]) < 25, "in a short time; the proof asks for less in a longer one"


@pytest.mark.parametrize("busy", [False, True])
def test_ctrl_c_ends_it_within_a_second_without_a_word(model: Path, busy: bool) -> None:
    with serving(command(model, "--port", "0")) as server, socket.create_connection(("127.0.0.1", server.port)) as client:
        if busy:
            client.sendall(b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 100\r\n\r\nabc")
            time.sleep(0.2)
        begin = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        out, err = server.process.communicate(timeout=10)
        assert time.monotonic() - begin < 2  # one, on a machine that does nothing else
        assert server.process.returncode in (0, 130)
        assert (out, err) == ("", "")


def refused(*arguments: str, program: list[str]) -> str:
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_what_keeps_it_from_starting_is_one_line_and_exit_code_2(server: Server, model: Path, tmp_path: Path) -> None:
    assert "address already in use" in refused(program=command(model, "--port", str(server.port)))
    assert "no port 70000" in refused(program=command(model, "--port", "70000"))
    assert "--host" in refused(program=command(model, "--host", "203.0.113.7"))
    assert "Cannot read model" in refused(program=command(tmp_path / "none.tflite"))
    assert "'light-ink'" in refused(program=command(model, "--photo", "lightink"))


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "PIL"])
def test_a_missing_library_names_the_extra(model: Path, missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from edge_runtime.__main__ import main; sys.exit(main())"
    line = refused(program=[sys.executable, "-c", program, "serve", "--model", str(model), "--port", "0"])
    assert missing in line
    assert "edgeproof[serve]" in line


def test_an_address_that_others_reach_is_said_to_be_one(model: Path) -> None:
    with serving(command(model, "--port", "0", "--host", "0.0.0.0")) as server:
        assert server.process.stdout is not None
        assert "no password" in server.process.stdout.readline()
