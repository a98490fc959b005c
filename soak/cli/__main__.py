"""`python -m soak.cli` is `soak`."""

from soak.cli import main

main()
