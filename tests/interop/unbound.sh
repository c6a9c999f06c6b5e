#!/bin/bash
# unbound, a DNS server for the names below .test that asks nobody.
#
#   both.test    127.0.0.1 and ::1
#   four.test    127.0.0.1 and no other family
#   deaf.test    no answer at all
#   any other    NXDOMAIN below .test, REFUSED elsewhere
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
ports=(PORT)

installed() {
  command -v unbound >/dev/null
}

serve() {
  cat >"$dir/unbound.conf" <<CONF
server:
  interface: 127.0.0.1@$port
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  use-syslog: no
  logfile: ""
  chroot: ""
  username: ""
  directory: "$dir"
  pidfile: ""
  module-config: "iterator"
  local-zone: "." refuse
  local-zone: "test." static
  local-data: "both.test. 60 A 127.0.0.1"
  local-data: "both.test. 60 AAAA ::1"
  local-data: "four.test. 60 A 127.0.0.1"
  local-zone: "deaf.test." deny
remote-control:
  control-enable: no
CONF
  launch unbound -d -c "$dir/unbound.conf"
}

probe() {
  python3 "$here/ask_dns.py" "$PORT" both.test four.test nobody.test elsewhere.example
}

main "$@"
