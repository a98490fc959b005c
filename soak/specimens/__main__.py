"""`python -m soak.specimens NAME --port PORT`."""

from soak.specimens.server import main

main()
