"""What the aiohttp server answers.

  /bytes/N         N bytes of the pattern line, with Content-Length
  /chunked?n=N     N bytes (default 65536) in chunks of 1000
  /gzip /deflate /br /zstd   64 KiB, compressed whatever the client accepts
  /echo            JSON: method, target, headers in order, length, hash and text of the body
  /form            JSON: the fields of a form, urlencoded or multipart, in order
  /file            64 KiB from a file, with ranges; /file/100m is 100 MiB
  /mirror          the request's body as it came, streamed back in chunks
  /redirect/N      N redirects, then /echo; ?status=307 chooses the status
  /slow?ms=M&n=N   a head at once, then N bytes (default 3), one each M milliseconds
  /cookies/set     sets one cookie for each query parameter, then redirects to /cookies
  /cookies         JSON: the cookies received
  /auth            basic authentication: user, secret
  /status/N        that status and no body of note
  /close           answers and closes the connection
  /ws/...          WebSockets, see aiohttp_ws.py
  /tls             "r" if the TLS session was resumed, "." if not
"""

import argparse
import asyncio
import gzip
import hashlib
import ssl
import zlib

import aiohttp_ws
import brotli
import zstandard
from aiohttp import BasicAuth, web

PATTERN = b"miohttp interop: the quick brown fox jumps over it\n"


def pattern(length):
    return (PATTERN * (length // len(PATTERN) + 1))[:length]


async def send_bytes(request):
    return web.Response(body=pattern(int(request.match_info["n"])))


async def send_chunked(request):
    body = pattern(int(request.query.get("n", 65536)))
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for start in range(0, len(body), 1000):
        await response.write(body[start : start + 1000])
    await response.write_eof()
    return response


def compressed(coding, compress):
    # By hand and not by the framework, which would heed Accept-Encoding.
    async def handler(request):
        return web.Response(
            body=compress(pattern(65536)),
            headers={"Content-Encoding": coding, "Content-Type": "text/plain"},
        )

    return handler


async def echo(request):
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "target": request.raw_path,
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")]
                for name, value in request.raw_headers
            ],
            "length": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "text": body[:1000].decode("utf-8", "replace"),
        }
    )


async def form(request):
    fields = []
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            content = value.file.read()
            fields.append(
                {
                    "name": name,
                    "filename": value.filename,
                    "type": value.content_type,
                    "length": len(content),
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
        else:
            if isinstance(value, (bytes, bytearray)):
                value = bytes(value).decode("latin-1")
            fields.append({"name": name, "value": value})
    return web.json_response({"type": request.content_type, "fields": fields})


async def file(request):
    return web.FileResponse(f"{request.app['www']}/{request.match_info.get('name', '64k')}")


async def mirror(request):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    async for data in request.content.iter_any():
        await response.write(data)
    await response.write_eof()
    return response


async def redirect(request):
    left = int(request.match_info["n"])
    query = f"?{request.query_string}" if request.query_string else ""
    location = f"/redirect/{left - 1}{query}" if left > 1 else "/echo"
    status = int(request.query.get("status", 302))
    return web.Response(status=status, headers={"Location": location})


async def slow(request):
    pause = int(request.query.get("ms", 100)) / 1000
    count = int(request.query.get("n", 3))
    response = web.StreamResponse(headers={"Content-Length": str(count)})
    await response.prepare(request)
    for _ in range(count):
        await asyncio.sleep(pause)
        await response.write(b"x")
    return response


async def set_cookies(request):
    response = web.Response(status=302, headers={"Location": "/cookies"})
    for name, value in request.query.items():
        response.set_cookie(name, value)
    return response


async def cookies(request):
    return web.json_response(dict(request.cookies))


async def auth(request):
    expected = BasicAuth("user", "secret").encode()
    if request.headers.get("Authorization") == expected:
        return web.Response(text="welcome\n")
    return web.Response(
        status=401, headers={"WWW-Authenticate": 'Basic realm="interop"'}
    )


async def status(request):
    return web.Response(status=int(request.match_info["n"]))


async def close(request):
    response = web.Response(text="bye\n")
    response.force_close()
    return response


async def tls(request):
    connection = request.transport.get_extra_info("ssl_object")
    return web.Response(text="r" if connection.session_reused else ".")


def application(www):
    app = web.Application(client_max_size=1 << 30)
    app["www"] = www
    app.router.add_get("/bytes/{n:[0-9]+}", send_bytes)
    app.router.add_get("/chunked", send_chunked)
    app.router.add_get("/gzip", compressed("gzip", gzip.compress))
    app.router.add_get("/deflate", compressed("deflate", zlib.compress))
    app.router.add_get("/br", compressed("br", brotli.compress))
    app.router.add_get("/zstd", compressed("zstd", zstandard.compress))
    app.router.add_route("*", "/echo", echo)
    app.router.add_post("/form", form)
    app.router.add_get("/file", file)
    app.router.add_get("/file/{name:[0-9a-z]+}", file)
    app.router.add_route("*", "/mirror", mirror)
    app.router.add_route("*", "/redirect/{n:[0-9]+}", redirect)
    app.router.add_get("/slow", slow)
    app.router.add_get("/cookies/set", set_cookies)
    app.router.add_get("/cookies", cookies)
    app.router.add_get("/auth", auth)
    app.router.add_route("*", "/status/{n:[0-9]+}", status)
    app.router.add_get("/close", close)
    app.router.add_get("/tls", tls)
    aiohttp_ws.add_routes(app.router)
    return app


async def serve(arguments):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(arguments.cert, arguments.key)
    runner = web.AppRunner(application(arguments.www), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", arguments.port).start()
    await web.TCPSite(
        runner, "127.0.0.1", arguments.tls_port, ssl_context=tls
    ).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--www", required=True)
    asyncio.run(serve(parser.parse_args()))
