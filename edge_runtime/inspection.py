"""What happens inside a model: every operator's output, in the model's own number type.

Runs in every interpreter as it is installed; no debug build is needed, and a QAT model's export is looked into like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.classifier import Classifier
from edge_runtime.interpreter import InnerTensor

_MOST_BYTES = 256e6  # of tensors held at once: a large network is looked into on fewer images


def record_tensors(classifier: Classifier, images: np.ndarray, file: Path) -> dict[str, Any]:
    """Run uint8 images [n, H, W, C], or as many as fit into memory, and write what the tensors held to `file` (.npz).

    The file holds one array [n, ...] a tensor, by its position, 0 being what the interpreter was given. Returns the number of images
    and, in the same order, each tensor's name and quantization.
    """
    shards: list[list[np.ndarray]] = []
    tensors: list[InnerTensor] = []
    held = 0
    for tensors in _runs(classifier, classifier.metadata.preprocessing.as_batch(images)):
        shards.append([tensor.values for tensor in tensors])
        held += sum(tensor.values.nbytes for tensor in tensors)
        if held * (1 + 1 / len(shards)) > _MOST_BYTES:  # one more would not fit
            break
    np.savez(file, **{str(index): np.stack(values) for index, values in enumerate(zip(*shards, strict=True))})
    facts = [{"name": tensor.name, "quantization": asdict(tensor.quantization) if tensor.quantization else None} for tensor in tensors]
    return {"images": len(shards), "tensors": facts}


def _runs(classifier: Classifier, batch: np.ndarray) -> Iterator[list[InnerTensor]]:
    """For each image: what the interpreter was given, then what every operator wrote."""
    model = classifier.model
    for index in range(len(batch)):
        given = classifier.encode(batch[index : index + 1])
        model.set_input(given)
        model.invoke()
        yield [InnerTensor("input", given, model.input.quantization), *model.inner_tensors()]
