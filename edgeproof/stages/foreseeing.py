"""What edgeproof will make of a user's Keras model, layer by layer, before any data is read or anything is trained."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeproof.console import Console
from edgeproof.stages.keras_file import KerasFile
from export.formats import FORMATS, QAT, choose_formats, usual_formats
from train.outlook import LayerOutlook, Outlook, outlook

if TYPE_CHECKING:
    from rich.table import Table

_HEADS = {
    "probabilities": "It ends in softmax: exports keep it and answer with probabilities (--logits leaves it to the runtime).",
    "logits": "It ends in logits: the runtime applies the softmax.",
}


def check_keras(path: Path, console: Console) -> int:
    """Print a table of the layers and what `edgeproof run --model` will give. Returns 0 if every format can be made, else 1.

    InputError or ModelError for a file that is no tf_keras classifier, as when it is run.
    """
    with console.natives_silenced():
        given = KerasFile.read(path)
        found = outlook(given.model)
    sentence = closing_sentence(path, found)
    console.show(layer_table(found.layers))
    size = "×".join(map(str, given.contract.shape))
    for step in (f"Takes {size} pictures. {given.sentence}", f"{given.classes} classes. {_HEADS[given.output]}", sentence):
        console.show(step)
    facts = {"file": str(path), "preprocessing": given.contract.to_dict(), "classes": given.classes, "output": given.output}
    console.give({**facts, **_fields(found), "sentence": sentence})
    return 1 if found.objections or found.unfoldable else 0


def layer_table(layers: Sequence[LayerOutlook]) -> Table:
    from rich.table import Table

    table = Table("layer", "kind", "output", "parameters", "folding", "8-bit quantizer", box=None, pad_edge=False, header_style="bold")
    table.columns[3].justify = "right"
    for layer in layers:
        size = "×".join("?" if side is None else str(side) for side in layer.shape)
        table.add_row(layer.name, layer.kind, size, f"{layer.parameters:,}", layer.folding, layer.quantizer)
    return table


def closing_sentence(path: Path, found: Outlook) -> str:
    """What a run will give, what not and why, and the remedy."""
    if found.unfoldable:
        return f"No format can be made: {found.unfoldable}"
    run = f"`edgeproof run --model {shlex.quote(str(path))} --data …`"
    usual = usual_formats()
    if not found.objections:
        return f"{run} will export {_listed([format.name for format in usual])}; `edgeproof export all` can make all {len(choose_formats())} formats."
    made, failing = ([format.name for format in usual if (format.source == QAT) is refused] for refused in (False, True))
    return (
        f"{run} will export {_listed(made)}; {_listed(failing)} will fail: {_count(found.objections)} cannot be quantized: "
        f"{'; '.join(found.objections)}. `edgeproof export tflite --int8-ptq` tries without that quantizer."
    )


def _fields(found: Outlook) -> dict[str, Any]:
    failing = {name for name, format in FORMATS.items() if found.unfoldable or (found.objections and format.source == QAT)}
    return {
        "layers": [asdict(layer) for layer in found.layers],
        "objections": list(found.objections),
        "unfoldable": found.unfoldable or None,
        "formats": {name: name not in failing for name in FORMATS},
    }


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _count(objections: Sequence[str]) -> str:
    return "1 layer" if len(objections) == 1 else f"{len(objections)} layers"
