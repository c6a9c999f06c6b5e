#!/bin/bash
# Twisted's SOCKS proxy, which speaks versions 4 and 4a. In the latter it takes
# names only, no addresses.
#
#   PORT        anybody
#   AUTH_PORT   the user id "some body" and no other
. "$(dirname "$0")/lib.sh"

ports=(PORT AUTH_PORT)

installed() {
  "$venv/bin/python" -c 'import twisted' 2>/dev/null
}

serve() {
  launch "$venv/bin/python" -c '
import sys
from twisted.internet import protocol, reactor
from twisted.protocols.socks import SOCKSv4, SOCKSv4Factory

class Asking(SOCKSv4):
    def authorize(self, code, server, port, user):
        return user == b"some body"

port, auth_port = map(int, sys.argv[1:])
reactor.listenTCP(port, SOCKSv4Factory(None), interface="127.0.0.1")
reactor.listenTCP(auth_port, protocol.Factory.forProtocol(Asking), interface="127.0.0.1")
reactor.run()' "$port" "$auth_port"
}

probe() {
  local origin code=0
  origin_server
  wanted socks4 200 "$(status -x "socks4://127.0.0.1:$PORT" "$origin")" || code=1
  wanted socks4a 200 "$(status -x "socks4a://127.0.0.1:$PORT" "${origin/127.0.0.1/localhost}")" || code=1
  local at=127.0.0.1:$AUTH_PORT scheme
  for scheme in socks4 socks4a; do
    wanted "$scheme, user id" 200 "$(status -x "$scheme://some%20body@$at" "${origin/127.0.0.1/localhost}")" || code=1
    wanted "$scheme, another" 000 "$(status -x "$scheme://somebody@$at" "${origin/127.0.0.1/localhost}")" || code=1
    wanted "$scheme, none" 000 "$(status -x "$scheme://$at" "${origin/127.0.0.1/localhost}")" || code=1
  done
  return $code
}

main "$@"
