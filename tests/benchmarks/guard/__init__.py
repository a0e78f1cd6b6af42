"""A check of every change: that KV-Updater has not become much slower or larger: `python -m tests.benchmarks.guard`.

What is measured here is small, and the bounds are generous: it finds a regression, and is no benchmark.
"""
