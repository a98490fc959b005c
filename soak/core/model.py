"""What all models of a scenario share: strictness, quantities with units, and keys whose feature comes later."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from soak.core import units
from soak.core.units import Dimension


def _unit(dimension: Dimension, pattern: str) -> Any:
    def read(value: object) -> float:
        number = units.parse(value, dimension).value
        if number < 0 or (dimension == "rate" and number == 0):
            least = "more than 0/s" if dimension == "rate" else "0 s or more"
            raise ValueError(f"expected {least}, got {value!r}")
        return number

    return BeforeValidator(read), WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": f"for example {units.EXAMPLES[dimension]}"}
    )


Duration = Annotated[float, *_unit("time", r"^\s*[0-9].*(us|µs|ms|s|m|min|h|d)\s*$")]
Rate = Annotated[float, *_unit("rate", r"^\s*[0-9][0-9_.eE+]*\s*/\s*(s|sec|m|min|h|d)\s*$")]


def _later(value: object) -> object:
    if value is not None:
        raise ValueError("not supported yet")
    return value


Later = Annotated[None, BeforeValidator(_later), WithJsonSchema({"type": "null", "description": "not supported yet"})]


class Model(BaseModel):
    """Common ground of all scenario models: frozen, unknown keys refused, no guessing (`true` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
