#!/bin/bash
# `openssl s_server`, once for each certificate of certificates.sh and for some
# ways to speak TLS; each on a port of its own and with a page at /.
#
#   ONLY_12, ONLY_13    one version of TLS
#   ONLY_11             one that nobody should speak any more
#   CLIENT              wants a certificate of the client, and shows it
#   ALPN                knows http/1.1 and nothing else
. "$(dirname "$0")/lib.sh"

leaves=("${good_leaves[@]}" "${bad_leaves[@]}" revoked)
ports=(ONLY_11 ONLY_12 ONLY_13 CLIENT ALPN)
for leaf in "${leaves[@]}"; do
  leaf=${leaf//-/_}
  ports+=("${leaf^^}")
done

installed() {
  command -v openssl >/dev/null
}

serve() {
  local leaf number
  for leaf in "${leaves[@]}"; do
    number=${leaf//-/_}
    serve_leaf "$leaf" "${!number}"
  done
  # Without the security level there is no such version.
  serve_leaf good "$only_11" -tls1_1 -cipher DEFAULT@SECLEVEL=0
  serve_leaf good "$only_12" -tls1_2
  serve_leaf good "$only_13" -tls1_3
  serve_leaf good "$client" -Verify 4 -verify_return_error -CAfile "$certs/ca.pem"
  serve_leaf good "$alpn" -alpn http/1.1
}

# serve_leaf NAME PORT OPTION...
serve_leaf() {
  local name=$1 port=$2
  shift 2
  launch openssl s_server -accept "127.0.0.1:$port" -www -quiet -cipher "$(loose_ciphers "$name")" \
    -cert "$zoo/$name.pem" -key "$zoo/$name.key" -cert_chain "$zoo/$name.pem" "$@"
}

probe() {
  local leaf number want
  ask() { status --cacert "$certs/ca.pem" "${@:2}" "https://localhost:$1/"; }
  for leaf in "${leaves[@]}"; do
    number=${leaf//-/_}
    number=${number^^}
    want=000
    # curl knows the revoked one by the list only, and takes the name of the
    # subject where there is no other.
    case $leaf in good | direct | rsa2048 | revoked | cn-only | rsa1024) want=200 ;; esac
    wanted "$leaf" "$want" "$(ask "${!number}")" || echo '(curl is of another mind)'
  done
  wanted 'no client certificate' 000 "$(ask "$CLIENT")"
  wanted 'client certificate' 200 "$(ask "$CLIENT" --cert "$zoo/client.pem" --key "$zoo/client.key")"
  wanted 'TLS 1.2' 200 "$(ask "$ONLY_12")"
  wanted 'TLS 1.3' 200 "$(ask "$ONLY_13")"
}

main "$@"
