"""What a model file really is, read from the file itself: nothing is called int8 that is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_runtime.errors import InputError

INT8_TYPES = ("int8", "uint8")
NO_ARITHMETIC = "none"
_FLOAT_TYPES = ("float16", "float32", "float64", "bfloat16")
LOGITS, PROBABILITIES = "logits", "probabilities"
_HEADS = frozenset(("SOFTMAX", "LOGISTIC", "Softmax", "Sigmoid", "QLinearSoftmax", "QLinearSigmoid"))


@dataclass(frozen=True)
class Operator:
    """One operator: what it is, where (the tensor it writes, named after its Keras layer), in which number type, at what cost."""

    kind: str
    version: int
    name: str
    dtype: str  # of its arithmetic; "none" where it only converts numbers or moves them
    macs: int | None = 0  # multiply-accumulates of one inference; None where there are some that the file does not let one count
    weight_bytes: int = 0
    weights_dtype: str | None = None  # None without weights
    per_channel: bool | None = None  # of quantized weights
    custom: bool = False  # TFLite's Flex operators too: no runtime from a package index has them
    hybrid: bool = False  # int8 weights and float activations meet in it: each inference finds its own ranges

    @property
    def is_float(self) -> bool:
        return self.dtype in _FLOAT_TYPES


@dataclass(frozen=True)
class End:
    """An input or output of the network. Scale and zero point are None for what is not quantized."""

    name: str
    shape: tuple[int | str, ...]  # a word for a size that is left open
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Audit:
    """The facts of one file."""

    family: str  # "tflite", "onnx", or "openvino" of a peer
    operators: tuple[Operator, ...]  # of an ONNX file: after ONNX Runtime's optimization
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    answers: str  # "logits" or "probabilities": what the last computing operator gives
    builtins: tuple[tuple[str, int], ...] = ()  # TFLite: every operator version that the file asks of a runtime, used or not
    min_runtime_version: str | None = None  # TFLite: what its converter wrote down
    rescales: int = 0  # TFLite: QUANTIZE from int8 to int8
    opset: int | None = None  # ONNX
    ir_version: int | None = None  # ONNX
    file_operators: Mapping[str, int] = field(default_factory=dict)  # ONNX: before the optimization
    refusal: str | None = None  # ONNX: why ONNX Runtime does not open it; the operators are then the file's own

    @property
    def input_dtype(self) -> str:
        return self.inputs[0].dtype

    @property
    def output_dtype(self) -> str:
        return self.outputs[0].dtype

    @property
    def float_islands(self) -> list[str]:
        """Operators that compute in floating point, by layer name."""
        return [f"{operator.kind} {operator.name}" for operator in self.operators if operator.is_float]

    @property
    def macs(self) -> int | None:
        counts = [operator.macs for operator in self.operators]
        return None if None in counts else sum(count or 0 for count in counts)

    @property
    def int8_macs_share(self) -> float | None:
        """Share of multiply-accumulates done in int8, 0..1; None where there are none, or none that can be counted."""
        int8 = sum(operator.macs or 0 for operator in self.operators if operator.dtype in INT8_TYPES)
        return int8 / self.macs if self.macs else None

    @property
    def int8_weights_share(self) -> float | None:
        """Share of weight bytes held in int8, whatever computes with them, 0..1; None without weights."""
        total = sum(operator.weight_bytes for operator in self.operators)
        int8 = sum(operator.weight_bytes for operator in self.operators if operator.weights_dtype in INT8_TYPES)
        return int8 / total if total else None

    @property
    def per_channel(self) -> list[Operator]:
        """Operators whose quantized weights have a scale for each output channel."""
        return [operator for operator in self.operators if operator.per_channel]

    @property
    def per_tensor(self) -> list[Operator]:
        """Operators whose quantized weights share one scale."""
        return [operator for operator in self.operators if operator.per_channel is False]

    @property
    def custom_operators(self) -> list[str]:
        """Names of operators that are in no standard set, Flex operators among them."""
        return sorted({operator.kind for operator in self.operators if operator.custom})

    @property
    def is_dynamic_range(self) -> bool:
        """Int8 weights, float activations: the arithmetic is hybrid."""
        return any(operator.hybrid for operator in self.operators)

    @property
    def has_int8_ends(self) -> bool:
        """Nothing goes in or comes out as floats; integers that are not quantized, such as a class's number, may."""
        return self.input_dtype in INT8_TYPES and not any(end.dtype in (*_FLOAT_TYPES, "int16") for end in (*self.inputs, *self.outputs))

    @property
    def is_int8_inside(self) -> bool:
        """Everything is computed in int8, and something is."""
        computed = {operator.dtype for operator in self.operators} - {NO_ARITHMETIC}
        return bool(computed) and computed <= set(INT8_TYPES) and not self.is_dynamic_range and self.refusal is None

    @property
    def is_int8(self) -> bool:
        """Int8 inside, and at its ends. (By convention an ONNX file takes and gives floats: its ends are converted inside.)"""
        return self.is_int8_inside and (self.family != "tflite" or self.has_int8_ends)

    @property
    def precision(self) -> str:
        """What the file is: int8, "int8 inside, float ends", dynamic-range, int16x8, mixed, float16, float32 or "float32, int8 weights"."""
        if self.is_int8_inside:
            return "int8" if self.is_int8 else "int8 inside, float ends"
        computed = {operator.dtype for operator in self.operators} - {NO_ARITHMETIC}
        if "int16" in computed and not self.float_islands:
            return "int16x8"
        if computed & {*INT8_TYPES, "int16"} and self.float_islands:
            return "mixed"
        if self.is_dynamic_range:
            return "dynamic-range"
        weights: Counter[str] = Counter()
        for operator in self.operators:
            weights[operator.weights_dtype or "float32"] += operator.weight_bytes
        heaviest = max(weights, key=lambda dtype: weights[dtype], default="float32")
        return "float32, int8 weights" if heaviest in INT8_TYPES else "float16" if heaviest == "float16" else "float32"

    def to_dict(self) -> dict[str, Any]:
        return {
            "family": self.family,
            "precision": self.precision,
            "operators": dict(Counter(f"{operator.kind} v{operator.version}" for operator in self.operators)),
            "file_operators": dict(self.file_operators),
            "macs": self.macs,
            "int8_macs_share": self.int8_macs_share,
            "int8_weights_share": self.int8_weights_share,
            "float_islands": self.float_islands,
            "per_channel": len(self.per_channel),
            "per_tensor": len(self.per_tensor),
            "dynamic_range": self.is_dynamic_range,
            "rescales": self.rescales,
            "custom_operators": self.custom_operators,
            "inputs": [asdict(end) for end in self.inputs],
            "outputs": [asdict(end) for end in self.outputs],
            "input_dtype": self.input_dtype,
            "output_dtype": self.output_dtype,
            "answers": self.answers,
            "min_runtime_version": self.min_runtime_version,
            "opset": self.opset,
            "ir_version": self.ir_version,
            "refusal": self.refusal,
        }


def audit(model: bytes) -> Audit:
    """Read a `.tflite`, `.onnx` or `.openvino`. InputError when it is none of them, is damaged, or has no inputs or outputs."""
    if model[4:8] == b"TFL3":
        from export.audit_tflite import audit_tflite

        found = audit_tflite(model)
    elif model.startswith(b"PK"):
        from export.audit_openvino import audit_openvino

        found = audit_openvino(model)
    else:
        from export.audit_onnx import audit_onnx

        found = audit_onnx(model)
    if not found.inputs or not found.outputs:
        raise InputError(f"This .{found.family} file has no {'outputs' if found.inputs else 'inputs'}: no network that answers to something.")
    return found


def answers_of(operators: Sequence[Operator]) -> str:
    """Whether a network, given in topological order, ends in probabilities: what only converts or moves numbers after the head does not count."""
    computing = [operator.kind for operator in operators if operator.dtype != NO_ARITHMETIC and operator.kind != "QUANTIZE"]
    return PROBABILITIES if computing and computing[-1] in _HEADS else LOGITS


def printable(name: str) -> str:
    """A stranger's name for a terminal: no control characters, no lengths beyond reading."""
    return "".join(letter if letter.isprintable() else "?" for letter in name[:200])
