#!/bin/bash
# stunnel before tinyproxy: proxies that are spoken to by TLS.
#
#   PORT            its certificate is good
#   GOOD, EXPIRED and so on   the certificate of that name (certificates.sh)
#   CLIENT_PORT     wants a certificate of the client
#   AUTH_PORT       wants a login: Basic, user "user", password "pass"
. "$(dirname "$0")/lib.sh"

ports=(PORT CLIENT_PORT AUTH_PORT INNER_PORT INNER_AUTH_PORT)
leaves=("${good_leaves[@]}" "${bad_leaves[@]}")
for leaf in "${leaves[@]}"; do
  leaf=${leaf//-/_}
  ports+=("${leaf^^}")
done

installed() {
  command -v stunnel4 >/dev/null && command -v tinyproxy >/dev/null
}

serve() {
  local leaf number
  instance "$inner_port" ''
  instance "$inner_auth_port" 'BasicAuth user pass'
  printf 'foreground=yes\npid=\n' >"$dir/stunnel.conf"
  service good "$port" "$inner_port" good ''
  for leaf in "${leaves[@]}"; do
    number=${leaf//-/_}
    service "show-$leaf" "${!number}" "$inner_port" "$leaf" "ciphers=$(loose_ciphers "$leaf")"
  done
  service auth "$auth_port" "$inner_auth_port" good ''
  service client "$client_port" "$inner_port" good "verifyChain=yes
CAfile=$certs/ca.pem"
  launch stunnel4 "$dir/stunnel.conf"
}

# service NAME PORT BEHIND CERTIFICATE LINES
service() {
  printf '%s\n' "[$1]" "accept=127.0.0.1:$2" "connect=127.0.0.1:$3" \
    "cert=$zoo/$4.pem" "key=$zoo/$4.key" "$5" >>"$dir/stunnel.conf"
}

# instance PORT LINE
instance() {
  printf '%s\n' 'Listen 127.0.0.1' "Port $1" 'Allow 127.0.0.1' 'Timeout 60' 'MaxClients 200' \
    'LogLevel Warning' "$2" >"$dir/tinyproxy-$1.conf"
  launch tinyproxy -d -c "$dir/tinyproxy-$1.conf"
}

probe() {
  local origin code=0 ca=(--proxy-cacert "$certs/ca.pem")
  origin_server
  wanted forward 200 "$(status "${ca[@]}" -x "https://localhost:$PORT" "$origin")" || code=1
  wanted tunnel 200 "$(status "${ca[@]}" -p -x "https://localhost:$PORT" "$origin")" || code=1
  wanted expired 000 "$(status "${ca[@]}" -x "https://localhost:$EXPIRED" "$origin")" || code=1
  wanted 'a key of 2048 bits' 200 "$(status "${ca[@]}" -x "https://localhost:$RSA2048" "$origin")" || code=1
  wanted 'no client certificate' 000 "$(status "${ca[@]}" -x "https://localhost:$CLIENT_PORT" "$origin")" || code=1
  wanted 'client certificate' 200 "$(status "${ca[@]}" --proxy-cert "$zoo/client.pem" --proxy-key "$zoo/client.key" \
    -x "https://localhost:$CLIENT_PORT" "$origin")" || code=1
  wanted 'no login' 407 "$(status "${ca[@]}" -x "https://localhost:$AUTH_PORT" "$origin")" || code=1
  return $code
}

main "$@"
