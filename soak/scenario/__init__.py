"""YAML to Scenario, with errors that name file, line, column and key."""

from soak.scenario.budget import cut_in_words, fitted
from soak.scenario.data import refuse_unset
from soak.scenario.explain import explain
from soak.scenario.flags import from_flags
from soak.scenario.importing import from_access_logs, from_har, from_openapi
from soak.scenario.load import Loaded, compared_with, load, loads
from soak.scenario.reach import port_in_use, refuse_foreign, refuse_unreachable
from soak.scenario.schema import json_schema
from soak.scenario.template import template

__all__ = [
    "Loaded",
    "compared_with",
    "cut_in_words",
    "explain",
    "fitted",
    "from_access_logs",
    "from_flags",
    "from_har",
    "from_openapi",
    "json_schema",
    "load",
    "loads",
    "port_in_use",
    "refuse_foreign",
    "refuse_unreachable",
    "refuse_unset",
    "template",
]
