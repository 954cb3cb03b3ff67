"""One way to open a model, whichever program executes it.

    model = open_model("digits-tflite-int8.tflite", runtime="tflite-runtime", threads=1)
    model.set_input(model.input.quantization.quantize(x)); model.invoke(); y = model.get_output()

Everything that can be known of a file is checked before an interpreter sees it: they were not written for damaged files.
"""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import InputError
from edge_runtime.flatbuffer import check_whole
from edge_runtime.metadata import read_onnx_metadata, read_tflite_metadata
from edge_runtime.opened import InnerTensor, Opening, OpenModel, TensorSpec
from edge_runtime.runtimes import PEER_RUNTIMES, RUNTIMES, Runtime, find_runtime, import_for, import_runtime
from edge_runtime.signature import check_model

__all__ = [
    "PEER_RUNTIMES",
    "RUNTIMES",
    "InnerTensor",
    "OpenModel",
    "Runtime",
    "TensorSpec",
    "check_sha256",
    "find_runtime",
    "import_runtime",
    "model_suffix",
    "open_model",
    "read_model_file",
]

_METADATA_READERS = {".tflite": read_tflite_metadata, ".onnx": read_onnx_metadata}


def open_model(
    model: str | Path | bytes,
    *,
    runtime: str = "auto",
    kernels: str = "default",
    threads: int = 1,
    keep_tensors: bool = False,
    part: bool = False,
    sha256: str | None = None,
) -> OpenModel:
    """Open a `.tflite` or `.onnx` from a path or from its bytes.

    runtime: a name in RUNTIMES, or "auto" for the first one that works here and reads this kind of file.
    kernels: "default", "builtin" (no delegate) or "reference" (slow and simple; TFLite only).
    keep_tensors: for `inner_tensors`; a `.tflite` then needs memory for all of them at once, and any model may have further outputs.
    part: of a network: it may have several outputs, and is run as it is, without optimizing it.
    sha256: what the bytes must have, in hexadecimal; None to take them as they are.
    Raises InputError (no such file, not a model, other bytes, damaged metadata), RuntimeMissingError, UnsupportedModelError.
    """
    name = "the model" if isinstance(model, bytes) else str(model)
    content = model if isinstance(model, bytes) else read_model_file(Path(model))
    check_model(content)
    if sha256 is not None:
        check_sha256(content, sha256, name)
    if runtime in PEER_RUNTIMES:  # opens strangers' files, which carry none of our metadata
        suffix, metadata = PEER_RUNTIMES[runtime].suffix, None
    else:
        suffix = model_suffix(content, name)
        if suffix == ".tflite":
            check_whole(content, name)
        metadata = _METADATA_READERS[suffix](content)
    chosen, module = import_for(runtime, suffix)
    if kernels not in chosen.kernels:
        raise InputError(f"{chosen.name} has no {kernels!r} kernels. Known: {', '.join(chosen.kernels)}.")
    if threads < 1:
        raise InputError(f"Expected threads to be at least 1, got {threads}.")
    return chosen.open(module, Opening(chosen, content, metadata, kernels, threads, keep_tensors, part))


def read_model_file(path: Path) -> bytes:
    """The bytes of a model file; InputError when there is none."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read model {path}: {error.strerror}.") from None


def check_sha256(content: bytes, expected: str, name: str) -> None:
    """InputError when the bytes are not those they should be."""
    import hashlib  # loads OpenSSL: only where a sum is to be checked

    got = hashlib.sha256(content).hexdigest()
    if got != expected.lower():
        raise InputError(f"{name} is not the file it should be (sha256 {got[:12]}…, expected {expected[:12]}…): copy it again.")


def model_suffix(content: bytes, name: str) -> str:
    """ ".tflite" or ".onnx", told by the bytes, not by the file's name. InputError for anything else."""
    if content[4:8] == b"TFL3":
        return ".tflite"
    if len(content) > 64 and content[:1] == b"\x08" and 3 <= content[1] <= 20:  # protobuf: ir_version comes first
        return ".onnx"
    raise InputError(f"{name} is neither a TFLite nor an ONNX model.")
