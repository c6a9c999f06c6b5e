#!/bin/bash
# Twisted's SOCKS proxy, which speaks versions 4 and 4a. In the latter it takes
# names only, no addresses.
. "$(dirname "$0")/lib.sh"

ports=(PORT)

installed() {
  "$venv/bin/python" -c 'import twisted' 2>/dev/null
}

serve() {
  launch "$venv/bin/python" -c '
import sys
from twisted.internet import reactor
from twisted.protocols.socks import SOCKSv4Factory
reactor.listenTCP(int(sys.argv[1]), SOCKSv4Factory(None), interface="127.0.0.1")
reactor.run()' "$port"
}

probe() {
  local origin code=0
  origin_server
  wanted socks4 200 "$(status -x "socks4://127.0.0.1:$PORT" "$origin")" || code=1
  wanted socks4a 200 "$(status -x "socks4a://127.0.0.1:$PORT" "${origin/127.0.0.1/localhost}")" || code=1
  return $code
}

main "$@"
