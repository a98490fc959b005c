"""Benchmarks of soak against theory and against its peers, side by side in one run: see docs/performance.md."""
