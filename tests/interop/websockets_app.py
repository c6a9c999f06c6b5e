"""What the server of the Python package `websockets` does.

  /ws/echo         sends back what comes; with ?parts=N in fragments of N
  /ws/talk         does what a text says:
                     ping WORD           pings, and says "pong WORD" once that is answered
                     close CODE REASON   closes the WebSocket so
  /ws/seen         says, as "CODE REASON", how the connection of ?key= was closed by its client

Of the query: key names the connection for /ws/seen; deflate=1 allows permessage-deflate,
and server_bits, client_bits, server_forgets, client_forgets say how. The subprotocols
are superchat and chat.
"""

import argparse
import asyncio
import collections
import signal
import ssl
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

seen = collections.defaultdict(lambda: asyncio.get_running_loop().create_future())


def query_of(request):
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def settle(connection, request):
    """Runs before the answer is made, which is when extensions are chosen."""
    query = query_of(request)
    bits = lambda name: int(query[name]) if name in query else None
    factory = ServerPerMessageDeflateFactory(
        server_max_window_bits=bits("server_bits"),
        client_max_window_bits=bits("client_bits"),
        server_no_context_takeover="server_forgets" in query,
        client_no_context_takeover="client_forgets" in query,
        require_client_max_window_bits="client_bits" in query,
    )
    connection.protocol.available_extensions = [factory] if "deflate" in query else []


async def echo(ws, query):
    parts = int(query.get("parts", 0))
    async for message in ws:
        if parts and message:
            await ws.send(message[at : at + parts] for at in range(0, len(message), parts))
        else:
            await ws.send(message)


async def talk(ws, query):
    async for message in ws:
        what, _, rest = message.partition(" ")
        if what == "ping":
            await (await ws.ping(rest))
            await ws.send(f"pong {rest}")
        elif what == "close":
            code, _, reason = rest.partition(" ")
            await ws.close(int(code), reason)


async def tell(ws, query):
    await ws.send(await seen[query["key"]])


async def handle(ws):
    query = query_of(ws.request)
    path = urlsplit(ws.request.path).path
    try:
        await {"/ws/echo": echo, "/ws/talk": talk, "/ws/seen": tell}[path](ws, query)
    except ConnectionClosed:
        pass
    if path != "/ws/seen":
        await ws.wait_closed()
        future = seen[query.get("key")]
        if not future.done():
            future.set_result(f"{ws.close_code} {ws.close_reason}")


async def main(arguments):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(arguments.cert, arguments.key)
    common = dict(
        handler=handle,
        host="127.0.0.1",
        process_request=settle,
        # By itself it refuses who offers none.
        select_subprotocol=lambda _, offered: next(
            (name for name in ("superchat", "chat") if name in offered), None
        ),
        compression=None,
        ping_interval=None,
        max_size=None,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with (
        serve(port=arguments.port, **common),
        serve(port=arguments.tls_port, ssl=tls, **common),
    ):
        await ended.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    asyncio.run(main(parser.parse_args()))
