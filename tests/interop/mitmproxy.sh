#!/bin/bash
# mitmproxy: a proxy that answers TLS inside of a tunnel itself, with
# certificates of its own authority (MITM_CA); it may be spoken to by TLS too.
#
#   PORT              anybody
#   AUTH_PORT         Basic, user "user", password "pass"
#   SOCKS_PORT        by SOCKS5, anybody
#   SOCKS_AUTH_PORT   by SOCKS5, the same user and password
. "$(dirname "$0")/lib.sh"

ports=(PORT AUTH_PORT SOCKS_PORT SOCKS_AUTH_PORT)

installed() {
  [[ -x $mitm_venv/bin/mitmdump ]]
}

serve() {
  mitmdump --mode "regular@127.0.0.1:$port" --mode "socks5@127.0.0.1:$socks_port"
  # The first makes an authority, and the second is to have the same.
  answers "$port" || return 0
  mitmdump --mode "regular@127.0.0.1:$auth_port" --mode "socks5@127.0.0.1:$socks_auth_port" \
    --proxyauth user:pass
}

mitmdump() {
  launch "$mitm_venv/bin/mitmdump" -q --set confdir="$dir/mitm" --ssl-insecure "$@"
}

facts() {
  echo "MITM_CA=$dir/mitm/mitmproxy-ca-cert.pem"
}

probe() {
  local origin code=0
  origin_server
  wanted forward 200 "$(status -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted tunnel 200 "$(status -p -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted socks5h 200 "$(status -x "socks5h://127.0.0.1:$SOCKS_PORT" "$origin")" || code=1
  wanted 'by TLS' 200 "$(status --proxy-cacert "$MITM_CA" -x "https://127.0.0.1:$PORT" "$origin")" || code=1
  wanted 'no login' 407 "$(status -x "http://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  wanted Basic 200 "$(status -U user:pass -x "http://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  local at=127.0.0.1:$SOCKS_AUTH_PORT
  wanted 'socks5, login' 200 "$(status -x "socks5://user:pass@$at" "$origin")" || code=1
  wanted 'socks5, wrong login' 000 "$(status -x "socks5://user:guess@$at" "$origin")" || code=1
  wanted 'socks5, no login' 000 "$(status -x "socks5://$at" "$origin")" || code=1
  return $code
}

main "$@"
