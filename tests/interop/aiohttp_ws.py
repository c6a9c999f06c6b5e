"""The WebSockets of the aiohttp server.

  /ws/echo         sends back what comes
  /ws/talk         does what a text says:
                     ping WORD           pings, and says "pong WORD" once that is answered
                     close CODE REASON   closes the WebSocket so
  /ws/seen         says, as "CODE REASON", how the connection of ?key= was closed by its client

Of the query: key names the connection for /ws/seen; deflate=1 allows permessage-deflate,
with what the client asks of it. The subprotocols are superchat and chat.
"""

import asyncio
import collections

from aiohttp import WSMsgType, web

seen = collections.defaultdict(lambda: asyncio.get_running_loop().create_future())


def socket(request):
    return web.WebSocketResponse(
        protocols=("superchat", "chat"),
        compress="deflate" in request.query,
        autoping=False,
        max_msg_size=0,
    )


async def messages(request, ws):
    """What comes, pings answered; then what the Close said is kept for /ws/seen."""
    said = "1006 "
    while True:
        message = await ws.receive()
        if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
            if message.type is WSMsgType.CLOSE:
                said = f"{message.data} {message.extra or ''}"
            break
        if message.type is WSMsgType.ERROR:
            break
        if message.type is WSMsgType.PING:
            await ws.pong(message.data)
        else:
            yield message
    future = seen[request.query.get("key")]
    if not future.done():
        future.set_result(said)


async def echo(request):
    ws = socket(request)
    await ws.prepare(request)
    async for message in messages(request, ws):
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def talk(request):
    ws = socket(request)
    await ws.prepare(request)
    async for message in messages(request, ws):
        if message.type is WSMsgType.PONG:
            await ws.send_str(f"pong {message.data.decode()}")
            continue
        what, _, rest = message.data.partition(" ")
        if what == "ping":
            await ws.ping(rest.encode())
        elif what == "close":
            code, _, reason = rest.partition(" ")
            await ws.close(code=int(code), message=reason.encode())
    return ws


async def tell(request):
    ws = socket(request)
    await ws.prepare(request)
    await ws.send_str(await seen[request.query["key"]])
    await ws.close()
    return ws


def add_routes(router):
    router.add_get("/ws/echo", echo)
    router.add_get("/ws/talk", talk)
    router.add_get("/ws/seen", tell)
