"""Grafana: what soak keeps there, and what it writes beside the graphs of a run."""
