"""A `.tflite` or `.onnx` that somebody brought: what it is, what it takes, and what must be assumed of it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.matrix import Artifact
from edge_runtime.errors import InputError
from edge_runtime.interpreter import model_suffix, read_model_file
from edge_runtime.metadata import ModelMetadata
from edge_runtime.preprocess import Preprocessing
from export.audit import Audit, audit
from export.embed import embedded
from export.support import support

# What a format is called, by the audit's word for it.
_KINDS = {"int8 inside, float ends": "int8-float-ends", "dynamic-range": "dynamic", "float32, int8 weights": "int8-weights"}


@dataclass(frozen=True)
class ModelFile:
    """One file and what is read from it."""

    path: Path
    content: bytes
    audit: Audit
    metadata: ModelMetadata | None  # what edgeproof wrote into it, if edgeproof made it

    @classmethod
    def read(cls, path: Path) -> ModelFile:
        """InputError when it is missing, damaged, no model, or no image classifier with one input and one output."""
        content = read_model_file(path)
        suffix = model_suffix(content, str(path))
        if path.suffix != suffix:
            raise InputError(f"{path} is a {suffix} file by its content: rename it.")
        try:
            model = cls(path, content, audit(content), embedded(content))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if len(model.audit.inputs) != 1 or len(model.audit.outputs) != 1:
            raise InputError(f"{path} has {len(model.audit.inputs)} inputs and {len(model.audit.outputs)} outputs: not an image classifier.")
        return model

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def format(self) -> str:
        """Family and precision, as the file itself shows them; the name that its maker gave it where that says the same more exactly."""
        told = f"{self.audit.family}-{_KINDS.get(self.audit.precision, self.audit.precision)}"
        return self.metadata.format if self.metadata and self.metadata.format.startswith(told) else told

    @property
    def claims(self) -> tuple[str, ...]:
        """The runtimes that its operators' versions let load it; where that is none, all that read such files: it must not pass unseen."""
        found = support(self.audit)
        return tuple(runtime for runtime in found if found[runtime].loads) or tuple(found)

    @property
    def refused(self) -> dict[str, str]:
        """Why the other runtimes would not load it, with the remedy."""
        return {runtime: answer.reason for runtime, answer in support(self.audit).items() if not answer.loads}

    @property
    def classes(self) -> int | None:
        """How many classes it tells apart; None where the file leaves it open. InputError when its output is no list of classes."""
        shape = self.audit.outputs[0].shape
        if shape and len(shape) != 2:
            raise InputError(f"{self.path} answers {list(shape)}, not [1, classes]: not an image classifier.")
        return int(shape[1]) if shape and isinstance(shape[1], int) else None

    def contract(self, preprocess: str | None, usual: Preprocessing | None) -> Preprocessing:
        """Its own where it carries one; else `preprocess`, or `usual`'s scaling, or pixels scaled to 0..1.

        InputError when `preprocess` contradicts the file, and for an input that is no picture.
        """
        if self.metadata:
            own = self.metadata.preprocessing
            if preprocess and not _same_scaling(own, Preprocessing.named(preprocess, own.shape)):
                raise InputError(f"{self.path} says itself that it takes {_scaling(own)}: leave out --preprocess {preprocess}.")
            return own
        if self.audit.refusal:  # no runtime opens it, so nobody knows its input
            if usual is None:
                raise InputError(f"{self.path} cannot be a baseline: no runtime takes it ({self.audit.refusal}).")
            return usual  # an export still gets a row that says so
        try:
            assumed = Preprocessing.of_input(self.audit.inputs[0].shape, preprocess or "unit")
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None
        return replace(assumed, scale=usual.scale, offset=usual.offset) if usual and not preprocess else assumed

    def check_classes(self, class_names: tuple[str, ...]) -> None:
        """InputError unless it tells those classes apart."""
        own = self.metadata.class_names if self.metadata else None
        classes = len(own) if own else self.classes
        if classes is not None and classes != len(class_names):
            raise InputError(f"{self.path} tells {classes} classes apart, the data has {len(class_names)}.")
        if own and own != class_names and sorted(own) == sorted(class_names):
            raise InputError(f"{self.path} has its classes in the order {', '.join(own)}, the data in the order {', '.join(class_names)}.")

    def assume(self, contract: Preprocessing, class_names: tuple[str, ...]) -> dict[str, Any] | None:
        """What a job must be told of a file that carries no metadata."""
        if self.metadata:
            return None
        return {"preprocessing": contract.to_dict(), "class_names": list(class_names), "output": self.audit.answers}

    def assumption(self, contract: Preprocessing) -> str | None:
        """What is assumed of a file that does not say itself, as a sentence."""
        if self.metadata:
            return None
        given = self.audit.inputs[0]
        if given.dtype == "uint8" and given.scale is None:  # no scaling that anybody names would be applied: `edge_runtime.classifier`
            return f"{self.path.name} takes pixels as they are, in {contract.layout}: assumed {self.audit.answers} out."
        taken = f"{_scaling(contract)} in {contract.layout}"
        return f"{self.path.name} does not say what it takes: assumed {taken}, {self.audit.answers} out (--preprocess)."

    def artifact(self, assume: dict[str, Any] | None) -> Artifact:
        return Artifact(self.path.resolve(), self.format, "baseline", self.sha256, self.claims, len(self.content), assume)


def _scaling(contract: Preprocessing) -> str:
    return f"pixel × {contract.scale:.4g} + {contract.offset:g}"


def _same_scaling(one: Preprocessing, other: Preprocessing) -> bool:
    return math.isclose(one.scale, other.scale) and math.isclose(one.offset, other.offset, abs_tol=1e-12)
