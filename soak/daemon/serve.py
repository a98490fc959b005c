"""`soak serve`: one event loop with the supervisor's looks and the API. It ends with SIGTERM or Ctrl-C; runs go on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
import time
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import uvicorn
from starlette.types import ASGIApp

from soak.core.errors import SoakError
from soak.core.listening import Address, addresses_of, bound, check_certificate, is_loopback
from soak.daemon.api import House, application
from soak.daemon.calendar import ASKER, due, request_key, still_waits
from soak.daemon.config import Settings
from soak.daemon.door import Door
from soak.daemon.job import Request
from soak.daemon.library import Library
from soak.daemon.notify import notify
from soak.daemon.state import State, alone
from soak.daemon.supervise import Rules, Supervisor

_LOOK_S = 0.5
_CLEAR_S = 60.0
_AT_ONCE = 512
_GRACE_S = 2
_LOG = logging.getLogger("soak.daemon")


def serve(settings: Settings) -> None:
    """Serve until it is told to end. Raises SoakError when it cannot begin."""
    if not settings.scenarios.is_dir():
        raise SoakError(f"--scenarios {settings.scenarios}: no such folder; only what lies in it can be run")
    addresses = addresses_of(*settings.address)
    check_certificate(settings.tls_cert, settings.tls_key)
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(alone(settings.state))
        state = cleanup.enter_context(State(settings.state))
        _refuse_open_door(settings, state, addresses)
        doors = [cleanup.enter_context(contextlib.closing(bound(family, at))) for family, at in addresses]
        asyncio.run(_Daemon(settings, state).run(doors))


class _Daemon:
    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        library = Library(settings.scenarios, settings.allow_hosts)
        rules = Rules(
            settings.runs, settings.parallel, settings.allow_hosts, settings.min_free, library.read, settings.keep
        )
        self._state, self._library = state, library
        self._zone = ZoneInfo(settings.time_zone)
        self._complained: dict[str, str] = {}
        self._cleared = -math.inf
        self._supervisor = Supervisor(state, rules, time.time, _LOG.info)
        self._fault: str | None = None
        house = House(state, self._supervisor, library, settings.schedules, self._zone, time.time, lambda: self._fault)
        self._app = application(house, settings.requests, _LOG.warning)

    async def run(self, doors: list[socket.socket]) -> None:
        """Serve at `doors` until a signal."""
        server = _server(self._app, self._settings)

        def end() -> None:
            server.should_exit = True

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, end)
        self._supervisor.adopt()
        looking = asyncio.create_task(self._look())
        scheme = "https" if self._settings.tls_cert is not None else "http"
        _LOG.info("serving %s at %s://%s", self._settings.scenarios, scheme, self._settings.listen)
        notify("READY=1")
        await server.serve(doors)
        notify("STOPPING=1")
        looking.cancel()
        _LOG.info("ended; runs that go on are adopted at the next start")

    async def _look(self) -> None:
        while True:
            try:
                await self._ask_for_what_is_due()
                self._supervisor.tick()
                if time.monotonic() - self._cleared > _CLEAR_S:
                    self._supervisor.clear()
                    self._cleared = time.monotonic()
                self._fault = None
                notify("WATCHDOG=1")
            except Exception as error:  # whatever it is (a full disk, a lost mount), the next look may do better
                fault = f"the supervisor cannot do its work: {type(error).__name__}: {error}"
                if fault != self._fault:
                    _LOG.exception("%s", fault)
                self._fault = fault
            await asyncio.sleep(_LOOK_S)

    async def _ask_for_what_is_due(self) -> None:
        now = time.time()
        for schedule in self._settings.schedules:
            since = self._state.seen_since(schedule.name, schedule.model_dump_json(), now)
            occurrence = due(schedule, self._zone, since, now)
            if occurrence is None or still_waits(schedule, self._state.open_jobs()):
                continue
            key = request_key(schedule, occurrence)
            if self._state.asked(ASKER, key) is not None:
                continue
            try:
                chosen = await asyncio.to_thread(self._library.choose, schedule.scenario, schedule.against)
            except SoakError as error:
                if self._complained.get(schedule.name) != key:
                    _LOG.error("schedule %s: %s", schedule.name, error)
                self._complained[schedule.name] = key
                continue
            wanted = Request(
                schedule.scenario, chosen.name, chosen.targets, ASKER, schedule.priority, key, schedule.against
            )
            job, _ = self._state.add(wanted, now)
            self._state.note(now, ASKER, "", "submit", job.id, schedule.scenario)
            _LOG.info("run %d: queued by the schedule %s", job.id, schedule.name)


def _server(app: ASGIApp, settings: Settings) -> uvicorn.Server:
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # what a stranger sends is no news
    return _Server(
        uvicorn.Config(
            app,
            http=Door,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=_GRACE_S,
            ssl_certfile=str(settings.tls_cert) if settings.tls_cert else None,
            ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
        )
    )


class _Server(uvicorn.Server):
    """Ends when it is told to, with no say about signals: by itself uvicorn raises them again when it has ended."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _refuse_open_door(settings: Settings, state: State, addresses: list[Address]) -> None:
    """Beyond loopback only with tokens, and with TLS unless it is said to do without."""
    if all(map(is_loopback, addresses)):
        return
    if not state.tokens():
        raise SoakError(
            f"--listen {settings.listen}: others can reach this address, so tokens are needed: "
            "`soak serve --add-token NAME --role run` makes one"
        )
    if settings.tls_cert is None and not settings.no_tls:
        raise SoakError(
            f"--listen {settings.listen}: others can reach this address, and may read tokens on their way: add "
            "--tls-cert and --tls-key, or --no-tls if the network is private or a proxy before it has TLS"
        )


def log_to_stderr() -> None:
    """The daemon's log: one line for whatever happened, with its time (UTC)."""
    handler = logging.StreamHandler()
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    _LOG.addHandler(handler)
    _LOG.setLevel(logging.INFO)
