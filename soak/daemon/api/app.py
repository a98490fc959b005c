"""The API as one web application.

    POST /v1/runs                  GET /v1/runs            GET /v1/runs/{number}
    GET  /v1/runs/{number}/events  POST .../stop           POST .../resume   PUT, DELETE .../pin
    GET  .../verdict               GET .../report          GET /v1/compare
    GET, POST /v1/scenarios   GET /v1/calendar   GET /v1/audit
    GET  /metrics    GET /healthz    GET /readyz    GET /openapi.json

Handlers run on the daemon's one event loop, where the state is used too; whatever takes long is done elsewhere.
"""

from __future__ import annotations

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer

from soak import __version__
from soak.daemon import problems
from soak.daemon.api import overview, results, runs, scenarios
from soak.daemon.api.house import House
from soak.daemon.conditional import Conditional
from soak.daemon.document import complete
from soak.daemon.metrics import add_metrics


def application(house: House) -> FastAPI:
    """The web application; who may ask is the guard's matter."""
    bearer = Depends(HTTPBearer(auto_error=False))  # for the OpenAPI document: the guard has looked already
    app = FastAPI(
        title="soak serve", version=__version__, docs_url=None, redoc_url=None, redirect_slashes=False,
        dependencies=[bearer], responses=problems.FAULTS,
    )  # fmt: skip
    problems.install(app)
    overview.add_health(app, house)
    runs.add_runs(app, house)
    runs.add_watching(app, house)
    results.add_results(app, house)
    scenarios.add_scenarios(app, house)
    overview.add_overview(app, house)
    add_metrics(
        app,
        house.state,
        lambda: house.ailing() is None and house.supervisor.held is None,
        lambda: house.supervisor.looked,
    )
    complete(app)
    app.add_middleware(Conditional)
    return app
