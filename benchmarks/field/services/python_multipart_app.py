"""Items by a form, read by python-multipart under Starlette."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def items(request):
    form = await request.form()
    return PlainTextResponse(form["item"])


app = Starlette(routes=[Route("/items", items, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
