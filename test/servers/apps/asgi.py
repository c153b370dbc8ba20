# For every ASGI server.
import asyncio, itertools, os, time

time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))

served = itertools.count(1)
body = ("@VERSION@ " * 3000)[:20000].encode()


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/slow":
        await asyncio.sleep(0.5)
    elif next(served) % 20 == 0:
        await asyncio.sleep(0.03)
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
