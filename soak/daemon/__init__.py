"""Many soaks: a thin supervisor of runs."""
