#!/bin/bash
# squid, a proxy that serves both forms of request.
#
#   PORT              anybody
#   BASIC_PORT        Basic, user "user", password "pass word"
#   DIGEST_PORT       Digest, the same
#   BOTH_PORT         offers both
#   TLS_PORT          anybody, spoken to by TLS
#   TLS_DIGEST_PORT   Digest, spoken to by TLS
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
ports=(PORT BASIC_PORT DIGEST_PORT BOTH_PORT TLS_PORT TLS_DIGEST_PORT)
helpers=/usr/lib/squid

installed() {
  command -v squid >/dev/null && [[ -x $helpers/basic_ncsa_auth && -x $helpers/digest_file_auth ]]
}

serve() {
  local account='' tls
  # As root it gives up its rights, and reads what it needs outside of root's folders.
  if [[ -z ${outside:-} ]]; then make_outside; fi
  printf 'user:%s\n' "$(openssl passwd -apr1 'pass word')" >"$outside/basic"
  printf 'user:%s\n' 'pass word' >"$outside/digest"
  # Of a file with more than one certificate it sends the first alone.
  cp "$zoo/direct.pem" "$zoo/direct.key" "$outside"
  tls="tls-cert=$outside/direct.pem tls-key=$outside/direct.key"
  cat >"$outside/squid.conf" <<CONF
http_port 127.0.0.1:$port
http_port 127.0.0.1:$basic_port name=basic
http_port 127.0.0.1:$digest_port name=digest
http_port 127.0.0.1:$both_port name=both
https_port 127.0.0.1:$tls_port $tls
https_port 127.0.0.1:$tls_digest_port name=tls_digest $tls
auth_param basic program $helpers/basic_ncsa_auth $outside/basic
auth_param basic realm miohttp basic
auth_param digest program $helpers/digest_file_auth $outside/digest
auth_param digest realm miohttp digest
acl at_basic myportname basic
acl at_digest myportname digest tls_digest
acl at_both myportname both
acl known proxy_auth REQUIRED
auth_schemes basic at_basic
auth_schemes digest at_digest
auth_schemes digest,basic at_both
http_access deny at_basic !known
http_access deny at_digest !known
http_access deny at_both !known
http_access allow all
cache deny all
pid_filename none
cache_log $outside/cache.log
logfile_rotate 0
access_log none
coredump_dir $outside
shutdown_lifetime 0 seconds
visible_hostname localhost
via on
dns_nameservers 127.0.0.1
hosts_file /etc/hosts
CONF
  if [[ $(id -u) = 0 ]]; then
    account=$(id -un proxy 2>/dev/null || echo nobody)
    printf 'cache_effective_user %s\n' "$account" >>"$outside/squid.conf"
    chown -R "$account" "$outside"
  fi
  # The name keeps its shared memory apart from another's.
  launch squid -N -n "miohttp$port" -f "$outside/squid.conf"
}

probe() {
  local origin code=0
  origin_server
  wanted forward 200 "$(status -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted tunnel 200 "$(status -p -x "http://127.0.0.1:$PORT" "$origin")" || code=1
  wanted 'by TLS' 200 "$(status --proxy-cacert "$certs/ca.pem" -x "https://localhost:$TLS_PORT" "$origin")" || code=1
  wanted 'no login' 407 "$(status -x "http://127.0.0.1:$BASIC_PORT" "$origin")" || code=1
  wanted Basic 200 "$(status -U 'user:pass word' -x "http://127.0.0.1:$BASIC_PORT" "$origin")" || code=1
  wanted Digest 200 "$(status -U 'user:pass word' --proxy-digest -x "http://127.0.0.1:$DIGEST_PORT" "$origin")" || code=1
  wanted 'Digest, tunnel' 200 "$(status -p -U 'user:pass word' --proxy-digest -x "http://127.0.0.1:$DIGEST_PORT" "$origin")" || code=1
  wanted 'Digest by TLS' 200 "$(status -U 'user:pass word' --proxy-digest --proxy-cacert "$certs/ca.pem" -x "https://localhost:$TLS_DIGEST_PORT" "$origin")" || code=1
  wanted 'wrong Digest by TLS' 407 "$(status -U 'user:guess' --proxy-digest --proxy-cacert "$certs/ca.pem" -x "https://localhost:$TLS_DIGEST_PORT" "$origin")" || code=1
  wanted any 200 "$(status -U 'user:pass word' --proxy-anyauth -x "http://127.0.0.1:$BOTH_PORT" "$origin")" || code=1
  return $code
}

main "$@"
