"""What runs on the device: numpy and one interpreter, nothing else.

from edge_runtime import Classifier

classifier = Classifier.load("digits-tflite-int8.tflite")
classifier.predict(images).labels        # images: uint8 [N, H, W] or [N, H, W, C]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.answers import Prediction
    from edge_runtime.classifier import Classifier
    from edge_runtime.errors import EdgeproofError

__all__ = ["Classifier", "EdgeproofError", "Prediction"]


def __getattr__(name: str) -> Any:
    """Import on first use: the toolkit's `--help` needs the error tree, not numpy."""
    if name == "EdgeproofError":
        from edge_runtime.errors import EdgeproofError

        return EdgeproofError
    if name in __all__:
        from edge_runtime import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
