"""Writes docs/reference/ from the code, so that it cannot fall behind it: `make reference`."""
