"""One soak: target, phases, load, probe, verdict."""
