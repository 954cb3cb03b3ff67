"""Keras model -> artifacts with metadata; audits artifacts, ours and strangers'."""
