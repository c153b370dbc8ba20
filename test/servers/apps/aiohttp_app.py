# aiohttp takes a socket from a program alone.
import asyncio, itertools, os, socket, time
from aiohttp import web

time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))
served = itertools.count(1)
body = ("@VERSION@ " * 3000)[:20000].encode()


async def answer(request):
    if request.path == "/slow":
        await asyncio.sleep(0.5)
    elif next(served) % 20 == 0:
        await asyncio.sleep(0.03)
    return web.Response(body=body, content_type="text/plain")


app = web.Application()
app.router.add_get("/{path:.*}", answer)
web.run_app(app, sock=socket.socket(fileno=3), print=None)
