"""Artifacts and targets -> parity report, latency report, dashboard. Never touches an interpreter: it sends jobs and judges answers."""
