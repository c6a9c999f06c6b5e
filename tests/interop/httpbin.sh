#!/bin/bash
# httpbin under gunicorn, on two free loopback ports: plain and TLS.
. "$(dirname "$0")/lib.sh"

installed() {
  [[ -x $httpbin_venv/bin/gunicorn ]]
}

serve() {
  gunicorn "$port"
  gunicorn "$tls_port" --certfile "$certs/leaf.pem" --keyfile "$certs/leaf.key"
}

gunicorn() {
  local port=$1
  shift
  launch "$httpbin_venv/bin/gunicorn" --bind "127.0.0.1:$port" \
    --worker-class gthread --threads 8 --keep-alive 30 --graceful-timeout 1 \
    --worker-tmp-dir "$dir" "$@" httpbin:app
}

main "$@"
