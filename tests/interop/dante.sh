#!/bin/bash
# dante, a SOCKS proxy of versions 4 and 5 for anybody: it would check a login against
# the accounts of the system alone. To port 9 it lets nobody.
# Of 4a it knows nothing: it takes 0.0.0.1 for the address that it is asked for.
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
ports=(PORT)

installed() {
  command -v danted >/dev/null
}

serve() {
  cat >"$dir/danted.conf" <<CONF
logoutput: stderr
internal: 127.0.0.1 port = $port
external: lo
clientmethod: none
socksmethod: none
user.privileged: $(id -un)
user.unprivileged: $(id -un)
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks block { from: 127.0.0.0/8 to: 0.0.0.0/0 port = 9 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
CONF
  launch danted -f "$dir/danted.conf" -p "$dir/danted.pid" -N 1
}

probe() {
  local origin code=0 scheme
  origin_server
  for scheme in socks4 socks5 socks5h; do
    wanted "$scheme" 200 "$(status -x "$scheme://127.0.0.1:$PORT" "$origin")" || code=1
    wanted "$scheme by name" 200 "$(status -x "$scheme://127.0.0.1:$PORT" "${origin/127.0.0.1/localhost}")" || code=1
    wanted "$scheme, forbidden" 000 "$(status -x "$scheme://127.0.0.1:$PORT" http://127.0.0.1:9/)" || code=1
  done
  return $code
}

main "$@"
