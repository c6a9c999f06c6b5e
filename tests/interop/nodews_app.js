// What the server of the Node package `ws` does.
//
//   /ws/echo         sends back what comes; with ?parts=N in fragments of N
//   /ws/talk         does what a text says:
//                      ping WORD           pings, and says "pong WORD" once that is answered
//                      close CODE REASON   closes the WebSocket so
//   /ws/seen         says, as "CODE REASON", how the connection of ?key= was closed by its client
//
// Of the query: key names the connection for /ws/seen; deflate=1 allows permessage-deflate,
// and server_bits, client_bits, server_forgets, client_forgets say how. The subprotocols
// are superchat and chat.
'use strict';

const fs = require('fs');
const http = require('http');
const https = require('https');
const { WebSocketServer } = require('ws');

const [port, tlsPort, cert, key] = process.argv.slice(2);

// By key: how a connection was closed, or who waits to hear of it.
const closed = new Map();
const waiting = new Map();

function settings(query) {
  const bits = (name) => (query.has(name) ? Number(query.get(name)) : undefined);
  return {
    noServer: true,
    maxPayload: 0,
    handleProtocols: (offered) => ['superchat', 'chat'].find((p) => offered.has(p)) || false,
    perMessageDeflate: query.has('deflate') && {
      threshold: 0,
      serverMaxWindowBits: bits('server_bits'),
      clientMaxWindowBits: bits('client_bits'),
      serverNoContextTakeover: query.has('server_forgets') || undefined,
      clientNoContextTakeover: query.has('client_forgets') || undefined,
    },
  };
}

function echo(ws, query) {
  const size = Number(query.get('parts') || 0);
  ws.on('message', (data, binary) => {
    if (!size || !data.length) return ws.send(data, { binary });
    for (let at = 0; at < data.length; at += size) {
      ws.send(data.subarray(at, at + size), { binary, fin: at + size >= data.length });
    }
  });
}

function talk(ws) {
  ws.on('pong', (data) => ws.send(`pong ${data}`));
  ws.on('message', (data) => {
    const [what, ...rest] = data.toString().split(' ');
    if (what === 'ping') ws.ping(rest.join(' '));
    if (what === 'close') ws.close(Number(rest[0]), rest.slice(1).join(' '));
  });
}

function tell(ws, query) {
  const key = query.get('key');
  const say = () => {
    ws.send(closed.get(key));
    ws.close();
  };
  if (closed.has(key)) say();
  else waiting.set(key, say);
}

function upgrade(request, socket, head) {
  const { pathname, searchParams: query } = new URL(request.url, 'http://localhost');
  new WebSocketServer(settings(query)).handleUpgrade(request, socket, head, (ws) => {
    ws.on('error', () => {});
    if (pathname === '/ws/seen') return tell(ws, query);
    ws.on('close', (code, reason) => {
      const key = query.get('key');
      closed.set(key, `${code} ${reason}`);
      if (waiting.has(key)) waiting.get(key)();
    });
    if (pathname === '/ws/echo') echo(ws, query);
    else if (pathname === '/ws/talk') talk(ws);
    else ws.close(1011, 'no such path');
  });
}

const refuse = (request, response) => {
  response.writeHead(426);
  response.end();
};
const plain = http.createServer(refuse);
const tls = https.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, refuse);
for (const [server, at] of [[plain, port], [tls, tlsPort]]) {
  server.on('upgrade', upgrade);
  server.listen(Number(at), '127.0.0.1');
}
