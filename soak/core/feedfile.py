"""Rows of a feed's file: CSV with a header line (RFC 4180), or one JSON object a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from soak.core.traffic import Feed

MAX_ROWS = 1_000_000
"""Each generator process holds all rows of a feed."""

Row = Mapping[str, object]


def read_rows(feed: Feed, folder: Path) -> list[Row]:
    """All rows of the feed's file. Raises ValueError with the line that is wrong, OSError."""
    path = folder / (feed.file or "")
    rows = _csv(path) if feed.csv is not None else _jsonl(path)
    if not rows:
        raise ValueError("no rows in it")
    return rows


def cell(row: Row, column: str) -> object:
    """A column of a row; `address.city` reaches into nested objects. Raises KeyError."""
    if column in row:
        return row[column]
    value: object = row
    for key in column.split("."):
        if not isinstance(value, Mapping) or key not in value:
            raise KeyError(column)
        value = value[key]
    return value


def _csv(path: Path) -> list[Row]:
    rows: list[Row] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(f"line {reader.line_num}: expected {len(reader.fieldnames or [])} values")
                rows.append(row)
                _bound(rows)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8 text") from None
    return rows


def _jsonl(path: Path) -> list[Row]:
    rows: list[Row] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: expected a JSON object")
            rows.append(row)
            _bound(rows)
    return rows


def _bound(rows: list[Row]) -> None:
    if len(rows) > MAX_ROWS:
        raise ValueError(f"more than {MAX_ROWS:,} rows; use a part of it")
