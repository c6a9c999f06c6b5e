#!/bin/bash
# aiohttp's own server on two free loopback ports: plain and TLS.
# aiohttp_app.py beside this file tells what it serves.
. "$(dirname "$0")/lib.sh"

# The venv that setup.sh makes, or a system-wide aiohttp.
if [[ -x $venv/bin/python ]]; then python=$venv/bin/python; else python=python3; fi

installed() {
  "$python" -c 'import aiohttp, brotli, zstandard' 2>/dev/null
}

serve() {
  launch "$python" "$here/aiohttp_app.py" \
    --port "$port" --tls-port "$tls_port" \
    --cert "$certs/leaf.pem" --key "$certs/leaf.key" --www "$www"
}

main "$@"
