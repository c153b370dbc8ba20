# For every WSGI server.
import itertools, os, time

time.sleep(float(os.environ.get("LOAD_SECONDS", 0)))

served = itertools.count(1)
body = ("@VERSION@ " * 3000)[:20000].encode()


def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.5)
    elif next(served) % 20 == 0:
        time.sleep(0.03)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
