#!/bin/bash
# Installs what the interop tests start and is not here yet: most of it from
# Debian (needs root; half a minute), the rest from PyPI in venvs of their own
# (half a minute, 200 MB), and a package for Node from npm, if that is here.
# Says what it could not do, and exits with 1 in that case. Where it exits with 0,
# MIOHTTP_INTEROP_REQUIRED=1 has every test fail whose server is missing all the same,
# and does not let it be skipped.
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
failed=0

# RUNLEVEL=1 keeps a package from starting a server of its own.
debian() {
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "$@" >/dev/null && echo "setup: installed $*"
}

missing=()
# PROGRAM:PACKAGE, or the program alone if both have one name.
for pair in nginx:nginx-light openssl curl python3 squid tinyproxy haproxy danted:dante-server \
  ip:iproute2 nft:nftables microsocks stunnel4 dnsmasq:dnsmasq-base unbound; do
  command -v "${pair%:*}" >/dev/null || missing+=("${pair#*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# Node's package `ws`: Debian's own where there is no npm to get a newer one.
command -v node >/dev/null || missing+=(nodejs)
node_ws() {
  NODE_PATH=$node_modules:/usr/share/nodejs node -e 'require("ws").WebSocketServer.name' 2>/dev/null
}
if ! node_ws && ! command -v npm >/dev/null; then missing+=(node-ws); fi
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]]; then
    echo "setup: not root, so these stay missing: ${missing[*]}"
    failed=1
  elif ! command -v apt-get >/dev/null; then
    echo "setup: no apt-get here, so these stay missing: ${missing[*]}"
    failed=1
  else
    apt-get update -qq || failed=1
    # One that this release does not have must not keep the others away.
    if ! debian "${missing[@]}" 2>/dev/null; then
      for package in "${missing[@]}"; do
        if ! debian "$package"; then
          echo "setup: apt-get could not install $package"
          failed=1
        fi
      done
    fi
  fi
fi

# python_env VENV MODULES PACKAGE...: makes it unless the modules are there.
python_env() {
  local into=$1 modules=$2
  shift 2
  if [[ -x $into/bin/python ]] && "$into/bin/python" -c "import $modules" 2>/dev/null; then
    return 0
  fi
  # A venv that was left half-made is made again.
  rm -rf "$into"
  mkdir -p "$cache"
  if python3 -m venv "$into" && "$into/bin/pip" install -q --disable-pip-version-check "$@"; then
    echo "setup: installed $* in $into"
  else
    rm -rf "$into"
    echo "setup: could not be installed from PyPI: $*"
    failed=1
  fi
}

python_env "$venv" 'aiohttp, brotli, zstandard, twisted' aiohttp brotli zstandard twisted
python_env "$httpbin_venv" gunicorn httpbin gunicorn
python_env "$mitm_venv" mitmproxy mitmproxy
python_env "$websockets_venv" websockets.asyncio.server websockets

if ! node_ws; then
  if command -v npm >/dev/null &&
    npm install --silent --no-audit --no-fund --prefix "$cache/node" ws >/dev/null && node_ws; then
    echo "setup: installed ws in $node_modules"
  else
    echo 'setup: could not be installed from npm: ws'
    failed=1
  fi
fi

if command -v openssl >/dev/null && command -v python3 >/dev/null; then
  prepare
fi
exit $failed
