"""Writes the pages that tell what the code has from the code, so that they cannot fall behind: `make reference`."""
