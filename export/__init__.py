"""Keras model -> artifacts with metadata; audits artifacts, ours and strangers'."""

import os

# ONNX Runtime 1.31 writes a device's id and a database of telemetry below ~/.cache/Microsoft when it is imported, unless this is set before.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
