#!/bin/bash
# blackhole.sh PROGRAM [ARGUMENT...]
#
# Runs a program in a network of its own, where 127.0.0.1 answers and what goes
# to 2001:db8::1 vanishes, as it does where IPv6 is announced and leads nowhere.
# Needs no root, but unshare, ip and nft, and a kernel that lets users have
# namespaces; without those it says so and exits with 3, and the tests are skipped
# unless MIOHTTP_BLACKHOLE_REQUIRED is set. `blackhole.sh true` tells which it is.
PATH=$PATH:/usr/sbin:/sbin

skip() {
  echo "blackhole.sh: $1"
  exit 3
}

if [[ ${1-} = --inside ]]; then
  shift
  {
    ip link set lo up &&
      ip -6 address add 2001:db8::1/128 dev lo nodad &&
      nft add table inet hole &&
      nft 'add chain inet hole out { type filter hook output priority 0; }' &&
      nft add rule inet hole out ip6 daddr 2001:db8::1 drop
  } || skip 'this kernel has no packet filter for users, or no IPv6'
  exec "$@"
fi

for tool in unshare ip nft; do
  command -v "$tool" >/dev/null || skip "no $tool here"
done
unshare --map-root-user --net true 2>/dev/null || skip 'no network namespace to be had'
exec unshare --map-root-user --net "$0" --inside "$@"
