#!/bin/bash
# Installs what the interop tests start and is not here yet: nginx and openssl
# from Debian (needs root), aiohttp and httpbin from PyPI, each in a venv of its
# own.
# Says what it could not do, and exits with 1 in that case.
. "$(dirname "$0")/lib.sh"

PATH=$PATH:/usr/sbin
failed=0

missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
command -v openssl >/dev/null || missing+=(openssl)
command -v curl >/dev/null || missing+=(curl)
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
  if [[ $(id -u) != 0 ]]; then
    echo "setup: not root, so these stay missing: ${missing[*]}"
    failed=1
  elif ! command -v apt-get >/dev/null; then
    echo "setup: no apt-get here, so these stay missing: ${missing[*]}"
    failed=1
  else
    # RUNLEVEL=1 keeps the package from starting a server of its own on port 80.
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
      apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
      echo "setup: installed ${missing[*]}"
    else
      echo "setup: apt-get could not install: ${missing[*]}"
      failed=1
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

python_env "$venv" 'aiohttp, brotli, zstandard' aiohttp brotli zstandard
python_env "$httpbin_venv" gunicorn httpbin gunicorn

if command -v openssl >/dev/null && command -v python3 >/dev/null; then
  prepare
fi
exit $failed
