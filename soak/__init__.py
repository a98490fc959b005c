"""`soak`: honest load for hours, and a verdict that names the slow poison."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("soakd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

__all__ = ["__version__"]
