#!/bin/bash
# microsocks, a SOCKS5 proxy, twice.
#
#   PORT        anybody
#   AUTH_PORT   user "user", password "pass"
. "$(dirname "$0")/lib.sh"

ports=(PORT AUTH_PORT)

installed() {
  command -v microsocks >/dev/null
}

serve() {
  launch microsocks -i 127.0.0.1 -p "$port"
  launch microsocks -i 127.0.0.1 -p "$auth_port" -u user -P pass
}

probe() {
  local origin code=0
  origin_server
  wanted socks5 200 "$(status -x "socks5://127.0.0.1:$PORT" "$origin")" || code=1
  wanted socks5h 200 "$(status -x "socks5h://127.0.0.1:$PORT" "${origin/127.0.0.1/localhost}")" || code=1
  wanted login 200 "$(status -x "socks5://user:pass@127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  wanted 'wrong login' 000 "$(status -x "socks5://user:guess@127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  wanted 'no login' 000 "$(status -x "socks5://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  return $code
}

main "$@"
