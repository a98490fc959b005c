"""A shop on aiohttp.web with its catalogue in memory and a middleware that adds a header, as most have one.

`python shop.py PORT [CGROUP.PROCS]`: joins that control group first, as a container is in one from its start.
"""

import os
import sys
from pathlib import Path

from aiohttp import web

PRODUCTS = 180_000


def product(number):
    return {
        "id": number,
        "name": f"thing {number}",
        "text": f"a thing of kind {number % 97}, " * 16,
        "stock": number % 13,
    }


CATALOGUE = {number: product(number) for number in range(1, PRODUCTS + 1)}


@web.middleware
async def named(request, handler):
    try:
        response = await handler(request)
    except web.HTTPException as error:
        error.headers["X-Shop"] = "1"
        raise
    response.headers["X-Shop"] = "1"
    return response


async def item(request):
    found = CATALOGUE.get(int(request.match_info["id"]))
    return web.json_response(found) if found else web.json_response({"error": "no such thing"}, status=404)


async def search(request):
    start = int(request.query.get("from", "1"))
    found = [CATALOGUE[number] for number in range(start, start + 20) if number in CATALOGUE]
    return web.json_response({"items": found, "count": len(found)})


if len(sys.argv) > 2:
    Path(sys.argv[2]).write_text(str(os.getpid()))
app = web.Application(middlewares=[named])
app.router.add_get("/items/{id}", item)
app.router.add_get("/search", search)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
