"""A small shop on aiohttp.web with a middleware, as most have one: it adds a header."""

import sys

from aiohttp import web


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
    return web.json_response({"id": int(request.match_info["id"]), "name": "a thing"})


app = web.Application(middlewares=[named])
app.router.add_get("/items/{id}", item)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
