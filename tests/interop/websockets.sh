#!/bin/bash
# The server of the Python package `websockets` on two free loopback ports: plain
# and TLS. websockets_app.py beside this file tells what it does.
. "$(dirname "$0")/lib.sh"

# The venv that setup.sh makes, or a system-wide package.
python=$websockets_venv/bin/python
if [[ ! -x $python ]]; then python=python3; fi

installed() {
  "$python" -c 'import websockets.asyncio.server' 2>/dev/null
}

serve() {
  launch "$python" "$here/websockets_app.py" \
    --port "$port" --tls-port "$tls_port" --cert "$certs/leaf.pem" --key "$certs/leaf.key"
}

# A plain request is told that this is for WebSockets.
probe() {
  wanted plain 426 "$(status "http://127.0.0.1:$PORT/")"
  wanted TLS 426 "$(status --cacert "$CA" "https://localhost:$TLS_PORT/")"
}

main "$@"
