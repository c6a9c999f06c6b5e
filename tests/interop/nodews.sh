#!/bin/bash
# The server of the Node package `ws` on two free loopback ports: plain and TLS.
# nodews_app.js beside this file tells what it does.
. "$(dirname "$0")/lib.sh"

# Where setup.sh puts it, and where Debian does.
export NODE_PATH=$node_modules:/usr/share/nodejs

installed() {
  command -v node >/dev/null && node -e 'require("ws").WebSocketServer.name' 2>/dev/null
}

serve() {
  launch node "$here/nodews_app.js" "$port" "$tls_port" "$certs/leaf.pem" "$certs/leaf.key"
}

# A plain request is told that this is for WebSockets.
probe() {
  wanted plain 426 "$(status "http://127.0.0.1:$PORT/")"
  wanted TLS 426 "$(status --cacert "$CA" "https://localhost:$TLS_PORT/")"
}

main "$@"
