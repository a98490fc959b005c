"""Releases with a documented fault, soaked beside the release that mended it: `python -m benchmarks.field`."""
