"""`soak serve`: one event loop with the supervisor's looks and the API.

It ends with SIGTERM or Ctrl-C, and runs go on. With SIGHUP it reads its settings again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import signal
import socket
import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

from soak.core.errors import SoakError
from soak.core.listening import Address, addresses_of, bound, check_certificate, is_loopback
from soak.core.quiet_server import QuietServer
from soak.core.token import read_token
from soak.daemon.api import House, application
from soak.daemon.calendar import ASKER, due, request_key, still_waits
from soak.daemon.config import FIXED, Settings
from soak.daemon.door import Door, Loop
from soak.daemon.guard import Guard
from soak.daemon.job import DAEMON, Request
from soak.daemon.library import Library
from soak.daemon.log import say
from soak.daemon.notify import notify
from soak.daemon.pages.site import Pages
from soak.daemon.state import State
from soak.daemon.statefile import alone
from soak.daemon.supervise import Rules, Supervisor
from soak.daemon.uploads import Uploads

_LOOK_S = 0.5
_CLEAR_S = 60.0
_AT_ONCE = 512


def serve(settings: Settings, read_again: Callable[[], Settings]) -> None:
    """Serve until it is told to end. Raises SoakError when it cannot begin.

    `read_again` gives the settings as they are when SIGHUP comes; it raises SoakError where they are faulty.
    """
    refuse_unusable(settings)
    addresses = addresses_of(*settings.address)
    check_certificate(settings.tls_cert, settings.tls_key)
    with contextlib.ExitStack() as cleanup:
        cleanup.enter_context(alone(settings.state))
        state = cleanup.enter_context(State(settings.state))
        _refuse_open_door(settings, state, addresses)
        doors = [cleanup.enter_context(contextlib.closing(bound(family, at))) for family, at in addresses]
        private = all(map(is_loopback, addresses))
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_Daemon(settings, state, read_again, private=private).run(doors))


class _Daemon:
    def __init__(self, settings: Settings, state: State, read_again: Callable[[], Settings], *, private: bool) -> None:
        self._settings, self._read_again = settings, read_again
        self._state = state
        self._complained: dict[str, str] = {}
        self._cleared = -math.inf
        library = library_of(settings)
        self._supervisor = Supervisor(state, rules_of(settings, library), time.time, say)
        self._fault: str | None = None
        zone = ZoneInfo(settings.time_zone)
        self._house = House(state, self._supervisor, library, settings.schedules, zone, time.time, lambda: self._fault)
        pages = Pages(application(self._house), self._house)
        self._guard = Guard(pages, state, settings.requests, say, private=private)

    async def run(self, doors: list[socket.socket]) -> None:
        """Serve at `doors` until a signal."""
        server = QuietServer(self._guard, _AT_ONCE, self._settings.tls_cert, self._settings.tls_key, http=Door)
        looking = asyncio.create_task(self._look())

        def end() -> None:
            looking.cancel()  # from now on nothing is started
            if not server.should_exit:
                say("ending", "told to end; runs go on")
            server.should_exit = True

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, self._reload, server)
        self._supervisor.adopt()
        scheme = "https" if self._settings.tls_cert is not None else "http"
        say("serving", f"serving {self._settings.scenarios} at {scheme}://{self._settings.listen}")
        notify("READY=1")
        await server.serve(doors)
        notify("STOPPING=1")
        looking.cancel()
        say("ended_itself", "ended; runs that go on are adopted at the next start")

    def _reload(self, server: QuietServer) -> None:
        """Go by the settings as they are now; a fault in them changes nothing."""
        before = self._settings
        try:
            told = self._read_again()
            refuse_unusable(told)
            context = server.config.ssl if server.config.loaded else None
            if context is not None:  # a certificate that was renewed in its place; who is connected keeps the old one
                check_certificate(before.tls_cert, before.tls_key)
                context.load_cert_chain(str(before.tls_cert), str(before.tls_key))
        except (SoakError, OSError) as error:
            say("reload_refused", f"the settings stay as they were: {error}", level=logging.ERROR)
            return
        fixed = [key for key in FIXED if getattr(told, key) != getattr(before, key)]
        self._settings = told = told.model_copy(update={key: getattr(before, key) for key in FIXED})
        changed = [key for key in Settings.model_fields if getattr(told, key) != getattr(before, key)]
        self._house.library = library = library_of(told)
        self._house.schedules, self._house.zone = told.schedules, ZoneInfo(told.time_zone)
        self._supervisor.rules = rules_of(told, library)
        self._guard.callers.rate = told.requests
        text = f"the settings were read again; changed: {', '.join(changed) or 'none'}"
        if fixed:
            text += f"; these want a restart and stay as they were: {', '.join(fixed)}"
        say("reloaded", text, level=logging.WARNING if fixed else logging.INFO)
        self._state.note(time.time(), DAEMON, "", "reload", None, text)

    async def _look(self) -> None:
        while True:
            try:
                await self._ask_for_what_is_due()
                self._supervisor.tick()
                if time.monotonic() - self._cleared > _CLEAR_S:
                    self._cleared = time.monotonic()
                    self._supervisor.clear()
                self._fault = None
            except Exception as error:  # whatever it is (a full disk, a lost mount), the next look may do better
                fault = f"the supervisor cannot do its work: {type(error).__name__}: {error}"
                if fault != self._fault:
                    say("fault", fault, level=logging.ERROR, error=True)
                self._fault = fault
            notify("WATCHDOG=1")  # it looks; a full disk is no better for a daemon that is started anew
            await asyncio.sleep(_LOOK_S)

    async def _ask_for_what_is_due(self) -> None:
        now = time.time()
        for schedule in self._settings.schedules:
            since = self._state.seen_since(schedule.name, schedule.model_dump_json(), now)
            occurrence = due(schedule, self._house.zone, since, now)
            if occurrence is None or still_waits(schedule, self._state.open_jobs()):
                continue
            key = request_key(schedule, occurrence)
            if self._state.asked(ASKER, key) is not None:
                continue
            try:
                chosen = await asyncio.to_thread(self._house.library.choose, schedule.scenario, schedule.against)
            except SoakError as error:
                if self._complained.get(schedule.name) != key:
                    say("schedule_refused", f"schedule {schedule.name}: {error}", level=logging.ERROR)
                    self._state.note(now, ASKER, "", "refused", None, f"schedule {schedule.name}: {error}")
                self._complained[schedule.name] = key
                continue
            wanted = Request(
                schedule.scenario, chosen.name, chosen.targets, ASKER, schedule.priority, key, schedule.against
            )
            job, _ = self._state.add(wanted, now)
            self._state.note(now, ASKER, "", "submit", job.id, schedule.scenario)
            say("queued", f"queued by the schedule {schedule.name}", run=job.id)


def refuse_unusable(settings: Settings) -> None:
    """Raises SoakError where there is nothing to run, or where no run could begin."""
    if not settings.scenarios.is_dir():
        raise SoakError(f"--scenarios {settings.scenarios}: no such folder; only what lies in it can be run")
    if settings.workers is not None:
        read_token(settings.workers.token_file)


def library_of(settings: Settings) -> Library:
    """The scenarios that may be run."""
    uploads = None
    if settings.allow_uploads:
        bounds = settings.uploads
        uploads = Uploads(
            settings.uploaded, settings.allow_hosts, settings.address, bounds.max_rate, bounds.max_duration
        )
    return Library(settings.scenarios, settings.allow_hosts, uploads)


def rules_of(settings: Settings, library: Library) -> Rules:
    """What the supervisor goes by."""
    return Rules(
        settings.runs, settings.parallel, settings.run_options, settings.min_free, library.read, settings.keep,
        settings.resumes,
    )  # fmt: skip


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
