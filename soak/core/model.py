"""What all models of a scenario share: strictness, and quantities with units."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from soak.core import units
from soak.core.units import Dimension


def _unit(dimension: Dimension, pattern: str, *, zero: bool = True) -> Any:
    def read(value: object) -> float:
        number = units.parse(value, dimension).value
        if number < 0 or (number == 0 and not zero):
            least = "more than 0/s" if not zero else f"{units.show(0, dimension)} or more"
            raise ValueError(f"expected {least}, got {value!r}")
        return number

    return BeforeValidator(read), WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": f"for example {units.EXAMPLES[dimension]}"}
    )


Duration = Annotated[float, *_unit("time", r"^\s*[0-9].*(us|µs|ms|s|m|min|h|d)\s*$")]
_PER = r"^\s*[0-9][0-9_.eE+]*\s*/\s*(s|sec|m|min|h|d)\s*$"
Rate = Annotated[float, *_unit("rate", _PER, zero=False)]
RateOrZero = Annotated[float, *_unit("rate", _PER)]


def _share(value: object) -> float:
    number = units.parse(value, "ratio").value
    if not 0 <= number <= 1:
        raise ValueError(f"expected 0% to 100%, got {value!r}")
    return number


Share = Annotated[
    float,
    BeforeValidator(_share),
    WithJsonSchema({"type": ["string", "number"], "description": f"for example {units.EXAMPLES['ratio']}"}),
]


VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)\}")


def variable_of(key: str, text: str) -> str:
    """The environment variable that `${NAME}` names. Raises ValueError at all else: no secret stands in a scenario."""
    match = VARIABLE.fullmatch(text)
    if match is None:
        raise ValueError(f"{key}: expected ${{NAME}}, an environment variable: a {key} stands in no scenario")
    return match[1]


class Model(BaseModel):
    """Common ground of all scenario models: frozen, unknown keys refused, no guessing (`true` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
