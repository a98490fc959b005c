"""What a page lists of the API's answers."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.requests import Request

from soak.daemon.pages.desk import Desk
from soak.daemon.pages.lists import all_in


class Api:
    """Answers as the API does: newest first, so many at a time, whatever is asked for."""

    def __init__(self, numbers: range, most: int) -> None:
        self.numbers, self.most = numbers, most

    async def have(self, _request: Request, _path: str, before: int | None = None, **_query: Any) -> Any:
        found = [n for n in reversed(self.numbers) if before is None or n < before]
        shown = found[: self.most]
        return {"runs": [{"id": n} for n in shown], "next": shown[-1] if len(found) > self.most else None}


def test_the_first_in_a_long_queue_are_on_its_page() -> None:
    asked = cast("Desk", Api(range(1, 8), most=3))
    found = asyncio.run(all_in(asked, Request({"type": "http"}), "queued"))
    assert [run["id"] for run in found] == [7, 6, 5, 4, 3, 2, 1]
