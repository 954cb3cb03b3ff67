"""Experiments that show what the project claims. Each prints its figures and can be run by anyone: `python -m evidence`."""
