#!/bin/bash
# dnsmasq, a DNS server for the names below .test that knows nobody to ask.
#
#   both.test     127.0.0.1 and ::1
#   four.test     127.0.0.1 and no other family
#   many.test     127.0.0.1 to .100, which only fit into TCP
#   alias.test    an alias of both.test
#   once.test     as both.test, and in the log each time (as all are)
#   any other     NXDOMAIN below .test, REFUSED elsewhere
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
ports=(PORT)

installed() {
  command -v dnsmasq >/dev/null
}

serve() {
  local number many=()
  for ((number = 1; number <= 100; number++)); do
    many+=("host-record=many.test,127.0.0.$number")
  done
  cat >"$dir/dnsmasq.conf" <<CONF
keep-in-foreground
port=$port
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
pid-file=
log-facility=-
log-queries
local-ttl=60
local=/test/
host-record=both.test,127.0.0.1,::1
host-record=four.test,127.0.0.1
host-record=once.test,127.0.0.1,::1
cname=alias.test,both.test
$(printf '%s\n' "${many[@]}")
CONF
  if [[ $(id -u) = 0 ]]; then echo 'user=root' >>"$dir/dnsmasq.conf"; fi
  launch dnsmasq --conf-file="$dir/dnsmasq.conf"
}

probe() {
  python3 "$here/ask_dns.py" "$PORT" both.test four.test many.test alias.test nobody.test elsewhere.example
}

main "$@"
