"""Which frame answers for an allocation."""

from __future__ import annotations

import pytest

from soak.probe.capture import Frame, whose

LIB = "/usr/lib/python3.11"
PACKAGES = f"{LIB}/site-packages"

HANDLER = ("item", "/srv/shop.py", 20)
PARTIAL = ("_build_middlewares", f"{PACKAGES}/aiohttp/web_app.py", 90)
HANDLE = ("_handle", f"{PACKAGES}/aiohttp/web_app.py", 530)
COPY = ("deepcopy", f"{LIB}/copy.py", 140)
TURN = ("_run", f"{LIB}/asyncio/events.py", 80)
LOOP = ("run_forever", f"{LIB}/asyncio/base_events.py", 607)
RUN_APP = ("run_app", f"{PACKAGES}/aiohttp/web.py", 500)
MAIN = ("main", "/srv/shop.py", 90)
MODULE = ("<module>", "/srv/shop.py", 99)


@pytest.mark.parametrize(
    "stack,answers",
    [
        pytest.param([COPY, PARTIAL, HANDLER, HANDLE, TURN, LOOP, MAIN], HANDLER, id="the innermost own one"),
        pytest.param([PARTIAL, HANDLE, TURN, LOOP, RUN_APP, MAIN, MODULE], PARTIAL, id="not who started the loop"),
        pytest.param([COPY, PARTIAL, HANDLE, RUN_APP, MODULE], PARTIAL, id="nor a module that runs to its end"),
        pytest.param([MODULE], MODULE, id="but what a module makes itself"),
        pytest.param([COPY, TURN, LOOP, MAIN], COPY, id="no package: the innermost of all"),
        pytest.param([COPY, MAIN, MODULE], MAIN, id="no loop: a function of the program"),
    ],
)
def test_the_innermost_own_frame_answers_unless_it_only_started_what_runs(stack: list[Frame], answers: Frame) -> None:
    assert whose(stack) == answers
