#!/bin/bash
# tinyproxy, twice.
#
#   PORT        anybody
#   AUTH_PORT   Basic, user "user", password "pass"
. "$(dirname "$0")/lib.sh"

ports=(PORT AUTH_PORT)

installed() {
  command -v tinyproxy >/dev/null
}

serve() {
  instance "$port" ''
  instance "$auth_port" 'BasicAuth user pass'
}

# instance PORT LINE
instance() {
  cat >"$dir/tinyproxy-$1.conf" <<CONF
Listen 127.0.0.1
Port $1
Allow 127.0.0.1
Timeout 60
MaxClients 200
LogLevel Warning
$2
CONF
  launch tinyproxy -d -c "$dir/tinyproxy-$1.conf"
}

probe() {
  local origin code=0
  origin_server
  wanted forward 200 "$(status -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted tunnel 200 "$(status -p -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted 'no login' 407 "$(status -x "http://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  wanted Basic 200 "$(status -U user:pass -x "http://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  wanted 'Basic, tunnel' 200 "$(status -p -U user:pass -x "http://127.0.0.1:$AUTH_PORT" "$origin")" || code=1
  return $code
}

main "$@"
