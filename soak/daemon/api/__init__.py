"""The API: a file for each noun. `application` puts them together behind the guard."""

from soak.daemon.api.app import application
from soak.daemon.api.house import House

__all__ = ["House", "application"]
