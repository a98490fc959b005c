"""Scenarios made from what is there already: a HAR, an access log, an OpenAPI document."""

from soak.scenario.importing.access_log import from_access_logs
from soak.scenario.importing.har import from_har
from soak.scenario.importing.openapi import from_openapi

__all__ = ["from_access_logs", "from_har", "from_openapi"]
