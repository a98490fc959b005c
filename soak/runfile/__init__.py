"""The run file: one SQLite file a run, the only seam between measuring and judging."""
