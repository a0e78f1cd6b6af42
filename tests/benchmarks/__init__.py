"""Measures KV-Updater against the per-message loop, on real servers: `python -m tests.benchmarks`."""
