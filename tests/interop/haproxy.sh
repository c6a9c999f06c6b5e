#!/bin/bash
# haproxy, which answers by itself.
#
#   PORT          plain, and TLS_PORT the same by TLS
#   CLIENT_PORT   TLS with a certificate of the client, whose name it tells
#   MAYBE_PORT    the same, but goes on without one
#
# /reject closes with no answer at all.
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
ports=(PORT TLS_PORT CLIENT_PORT MAYBE_PORT)

installed() {
  command -v haproxy >/dev/null
}

serve() {
  local tls="ssl crt $zoo/good.both alpn http/1.1"
  cat >"$dir/haproxy.conf" <<CONF
global
  maxconn 256
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:$port
  bind 127.0.0.1:$tls_port $tls
  bind 127.0.0.1:$client_port $tls verify required ca-file $certs/ca.pem
  bind 127.0.0.1:$maybe_port $tls verify optional ca-file $certs/ca.pem
  http-request reject if { path /reject }
  http-request return status 200 content-type text/plain lf-string "client %[ssl_c_s_dn(cn)] %[ssl_fc_protocol] %[ssl_fc_sni]"
CONF
  launch haproxy -db -f "$dir/haproxy.conf"
}

probe() {
  local code=0 as=(--cert "$zoo/client.pem" --key "$zoo/client.key")
  local ca=(--cacert "$certs/ca.pem")
  wanted plain 200 "$(status "http://127.0.0.1:$PORT/")" || code=1
  wanted TLS 200 "$(status "${ca[@]}" "https://localhost:$TLS_PORT/")" || code=1
  wanted 'no client certificate' 000 "$(status "${ca[@]}" "https://localhost:$CLIENT_PORT/")" || code=1
  wanted 'client certificate' 200 "$(status "${ca[@]}" "${as[@]}" "https://localhost:$CLIENT_PORT/")" || code=1
  wanted 'what it says' 'client client TLSv1.3 localhost' "$(<"$dir/answer")" || code=1
  wanted 'none, which may be' 200 "$(status "${ca[@]}" "https://localhost:$MAYBE_PORT/")" || code=1
  return $code
}

main "$@"
