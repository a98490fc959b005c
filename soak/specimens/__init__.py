"""Sick and healthy programs to soak, each with one known truth."""
