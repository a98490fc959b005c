"""Locust users as connection slots: any user class, paced by the shared schedule instead of by itself.

`User.wait_time` is where Locust asks a user for its next start, and `User.context` is called by its HTTP
clients as a request is sent; overriding these two is all it takes, nothing of Locust is patched.
"""

from __future__ import annotations

import gc
import importlib.util
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from time import monotonic
from traceback import extract_tb
from typing import Any

import certifi
import gevent
import gevent.ssl
from locust import FastHttpUser, TaskSet, User, constant, constant_throughput, task
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment
from locust.exception import CatchResponseError

from soak.core.errors import LoadError
from soak.core.records import Outcome
from soak.core.scenario import Scenario
from soak.core.target import Tls
from soak.load.calls import Ready
from soak.load.dispatch import Dispatcher
from soak.load.engine import Arrival, Engine
from soak.load.jar import Jar
from soak.load.mix import Pause
from soak.load.values import Values

CLASS_NAME = "SoakUser"
"""The class that slots are users of, whatever it is made from."""
_PARKED = 10.0**7
"""Seconds a user of the closed model sleeps once the load has ended: until it is killed."""
_DIGITS = re.compile(r"\d+")
_LONGEST = 120


class Slot(User):
    """What every slot does, whoever paces it: hold one arrival at a time and settle it."""

    abstract = True
    engine: Engine
    dispatcher: Dispatcher
    arrival: Arrival | None = None

    def on_stop(self) -> None:
        """Settle the arrival of a user that stopped itself."""
        self._settle()
        super().on_stop()  # type: ignore[no-untyped-call]

    def context(self) -> dict[str, Any]:
        """Note the moment of the send; the context itself stays the user's own."""
        if self.arrival is not None and self.arrival.sent is None:
            self.arrival.sent = monotonic()
        context: dict[str, Any] = super().context()
        return context

    def _enter(self) -> None:
        """Bind the slot to its greenlet, where requests find it, and log in as the user's class wishes."""
        gevent.getcurrent().soak_slot = self
        super().on_start()

    def _settle(self) -> None:
        if self.arrival is not None:
            self.engine.settle(self.arrival)
            self.arrival = None


class OpenSlot(Slot):
    """A slot that serves the shared arrival schedule."""

    abstract = True

    def on_start(self) -> None:
        """The first task is an arrival like any other: wait for it."""
        self._enter()
        self.wait()  # type: ignore[no-untyped-call]

    def wait_time(self) -> float:
        """Wait here for the next arrival; nothing is left to wait then."""
        self._settle()
        self.arrival = self.dispatcher.next()
        return 0.0


class ClosedSlot(Slot):
    """A plain Locust user: it waits as its class says and begins when it gets round to it."""

    abstract = True

    def on_start(self) -> None:
        """Begin with the load; a plain Locust user does not wait before its first task."""
        self._enter()
        gevent.sleep(max(0.0, self.engine.begin - monotonic()))
        self.arrival = self.engine.claim_own(monotonic())

    def wait_time(self) -> float:
        """The pause of the user's own class, or for ever once the load has ended."""
        self._settle()
        pause = float(super().wait_time())
        self.arrival = self.engine.claim_own(monotonic() + pause)
        return pause if self.arrival is not None else _PARKED


class ScenarioUser(FastHttpUser):
    """A slot that does what the scenario's mix says. Each arrival is a visitor of its own, without cookies."""

    abstract = True
    engine: Engine
    arrival: Arrival | None
    call: Ready | None = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.client.cookiejar = self.client.client.cookiejar = Jar()

    @task
    def serve(self) -> None:
        """Do what the arrival stands for: a request, or a journey as far as it goes well."""
        arrival, mix = self.arrival, self.engine.mix
        assert arrival is not None
        assert mix is not None
        action = mix.choose(arrival.pick)
        values = Values(arrival.index, arrival.draw)
        self.client.cookiejar.clear()
        if mix.fresh(values):
            self.client.client.close()  # drops the kept connections; the next request opens one
        paused = 0.0
        for step in action.steps:
            if isinstance(step, Pause):
                seconds = step.seconds(values)
                gevent.sleep(seconds)
                paused += seconds
            else:
                self._request(step, arrival, values)
                if arrival.outcome != "ok":
                    break
        if action.journey is not None:
            self.engine.journey(arrival, action.journey, paused)

    def _request(self, call: Ready, arrival: Arrival, values: Values) -> None:
        self.call = call
        arrival.greenlet = gevent.getcurrent()
        headers = call.headers(values)
        if self.engine.mix is not None and self.engine.mix.cookies:
            headers = headers | {"Cookie": self._cookies(self.engine.mix.cookies, values)}
        arrival.deadline = monotonic() + self.engine.scenario.load.timeout
        answer = self.client.request(
            call.method,
            call.path(values),
            name=call.endpoint,
            data=call.body(values),  # type: ignore[arg-type]
            headers=headers,
            catch_response=bool(call.captures),
            allow_redirects=False,  # a redirect is an answer; following it could take load to another host
        )
        arrival.deadline = math.inf
        if call.captures:
            with answer:
                self._capture(call, values, answer)

    def _capture(self, call: Ready, values: Values, answer: Any) -> None:
        status = answer.status_code
        if not (status in call.expect if call.expect else 200 <= status < 400):
            return  # it failed already, and says why
        for name, extract in call.captures:
            value = extract(answer)
            if value is None:
                answer.failure(CaptureError(name))
                return
            values.captured[name] = value

    def _cookies(self, stated: Mapping[str, str | Callable[[Values], str]], values: Values) -> str:
        """The scenario's cookies, and what the target has set in this arrival."""
        both = {name: value if isinstance(value, str) else value(values) for name, value in stated.items()}
        both |= {cookie.name: cookie.value or "" for cookie in self.client.cookiejar}
        return "; ".join(f"{name}={value}" for name, value in both.items())


class CaptureError(Exception):
    """An answer lacks what a journey wanted to take from it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"nothing to capture as {name!r}")


def build(scenario: Scenario, side: str, folder: Path, engine: Engine, dispatcher: Dispatcher) -> type[User]:
    """The user class that a worker spawns. Raises LoadError when a locustfile does not give one."""
    load = scenario.load
    slot = OpenSlot if load.open_model else ClosedSlot
    base = load_user_class(folder, load.locustfile) if load.locustfile else ScenarioUser
    body: dict[str, Any] = {
        "abstract": False,
        "engine": engine,
        "dispatcher": dispatcher,
        "host": scenario.sides[side].url.rstrip("/"),
    }
    if issubclass(base, FastHttpUser):
        # the pulse bounds the whole answer to a request of the scenario; a timer for each socket operation costs more
        patience = load.timeout if load.locustfile else None
        body |= {"network_timeout": patience, "connection_timeout": patience}
        target = scenario.sides[side]
        body |= _trust(target.tls or Tls(), folder) if target.url.startswith("https") else {}
    if load.open_model:
        _drop_own_pauses(base.tasks)
    elif load.rate is not None or base is ScenarioUser:
        pace = constant_throughput(load.rate / load.slots) if load.rate is not None else constant(0)
        base = type("Paced", (base,), {"abstract": True, "wait_time": pace})
    return type(CLASS_NAME, (slot, base), body)


def _trust(tls: Tls, folder: Path) -> dict[str, Any]:
    """Certificates are verified unless the scenario says otherwise; one context serves all slots of a worker."""
    context = gevent.ssl.create_default_context(cafile=str(folder / tls.ca) if tls.ca else None)
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = gevent.ssl.CERT_NONE
    elif tls.ca is None and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    if tls.cert and tls.key:
        context.load_cert_chain(folder / tls.cert, folder / tls.key)
    # a static method: an attribute that is a function would be bound to the user
    return {"insecure": not tls.verify, "ssl_context_factory": staticmethod(lambda **_: context)}


def _drop_own_pauses(tasks: list[Any]) -> None:
    """A task set may bring a pause of its own, which Locust prefers to its user's: here the schedule decides."""
    for found in tasks:
        if isinstance(found, type) and issubclass(found, TaskSet):
            found.wait_time = TaskSet.wait_time  # type: ignore[method-assign]
            _drop_own_pauses(found.tasks)


def load_user_class(folder: Path, reference: str) -> type[User]:
    """The Locust user class that `FILE.py::Class` names. Raises LoadError in plain words."""
    file, _, name = reference.partition("::")
    path = (folder / file).resolve()
    sys.path.insert(0, str(path.parent))  # a locustfile may import what lies beside it
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"locustfile {path}: cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise LoadError(f"locustfile {path}: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, User)):
        raise LoadError(f"locustfile {path}: has no Locust user class {name!r}")
    return found


def hang_up(users: Iterable[User]) -> None:
    """Close the connections that their HTTP clients keep: what a target has open after the load is its own."""
    for user in users:
        client = getattr(user, "client", None)
        if isinstance(client, FastHttpSession):
            client.client.close()
        elif isinstance(client, HttpSession):
            client.close()
    gc.collect()  # urllib3 closes connections when it is collected itself


def listen(environment: Environment, engine: Engine) -> None:
    """Record every request that any client of any user reports, in place of Locust's own statistics.

    Locust's per-second dictionaries grow for ever, and its percentiles have two digits.
    """
    handlers = environment.events.request._handlers
    handlers[:] = [h for h in handlers if "Runner.__init__" not in h.__qualname__]

    def on_request(
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        slot = getattr(gevent.getcurrent(), "soak_slot", None)
        call = getattr(slot, "call", None)
        endpoint = call.endpoint if call else f"{request_type} {name}" if name.startswith("/") else name
        outcome: Outcome = "ok"
        if call and call.expect and response.status_code and not isinstance(exception, CaptureError):
            if response.status_code not in call.expect:
                outcome = "failed"
        elif exception is not None:
            outcome = "timeout" if is_timeout(exception) else "failed"
        if outcome != "ok":
            engine.ledger.error(endpoint, _text(exception, response))
        engine.request(slot.arrival if slot else None, endpoint, outcome, response_time / 1000.0)

    def on_user_error(user_instance: Any, exception: BaseException, **_: Any) -> None:
        slot = getattr(user_instance, "user", user_instance)  # Locust hands over the task set or the user
        engine.raised(getattr(slot, "arrival", None), _raised(exception, engine.scenario.load.locustfile or ""))

    environment.events.request.add_listener(on_request)
    environment.events.user_error.add_listener(on_user_error)


def _raised(exception: BaseException, locustfile: str) -> str:
    """An exception by its kind and the innermost line of the locustfile that it came through; never its message."""
    file = Path(locustfile.partition("::")[0]).name
    lines = [f.lineno for f in extract_tb(exception.__traceback__) if Path(f.filename).name == file]
    return f"{type(exception).__name__} at {file}:{lines[-1]}" if lines else f"{type(exception).__name__} in a task"


def is_timeout(exception: BaseException) -> bool:
    """Whether a request was given up for being too slow, by whichever client made it."""
    exception = getattr(exception, "original", None) or exception  # geventhttpclient wraps the last of its tries
    return isinstance(exception, (TimeoutError, gevent.Timeout)) or "Timeout" in type(exception).__name__


def _text(exception: BaseException | None, response: Any) -> str:
    """A failure by its kind: without ids, addresses or bodies, so that equal ones are counted together."""
    exception = getattr(exception, "original", None) or exception
    if exception is not None and is_timeout(exception):
        return "no answer before the timeout"
    if isinstance(exception, CatchResponseError):  # what a locustfile says of an answer
        return _DIGITS.sub("N", str(exception))[:_LONGEST]
    if isinstance(exception, CaptureError):
        return str(exception)
    if status := getattr(response, "status_code", None):
        return f"HTTP {status}"
    return type(exception).__name__ if exception is not None else "failed"
