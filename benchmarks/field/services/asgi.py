"""What the small services share: an ASGI app of one function from (method, path, headers, body) to (status, body)."""

import sys

import uvicorn


def serve(answer):
    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        status, text = answer(scope["method"], scope["path"], scope["headers"], body)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"%d" % len(text))]}
        )
        await send({"type": "http.response.body", "body": text})

    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", lifespan="off", ws="none")
