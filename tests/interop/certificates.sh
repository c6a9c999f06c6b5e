# Sourced by lib.sh. Certificates as they are and as they should not be, in the
# folder $zoo: NAME.pem (with what a server sends behind it) and NAME.key, each
# for `localhost` and 127.0.0.1 unless its name says otherwise. All of them come
# from $certs/ca.pem by an intermediate, but `direct`, `selfsigned` and `untrusted`.

zoo=$cache/zoo

# Counts what is made, so that a change of this file makes it all anew.
readonly ZOO_EDITION=2

# What servers show, in the order of `breed`.
good_leaves=(good rsa2048 direct wildcard ip-only within-constraints)
bad_leaves=(expired not-yet other-host cn-only wrong-eku outside-constraints untrusted
  from-leaf from-leaf-alone rsa1024 no-intermediate selfsigned)

# loose_ciphers NAME: for OpenSSL, which loads no certificate with so short a key by
# itself.
loose_ciphers() {
  if [[ $1 = rsa1024 ]]; then echo DEFAULT@SECLEVEL=0; else echo DEFAULT; fi
}

make_zoo() {
  if [[ $(cat "$zoo/edition" 2>/dev/null) = "$ZOO_EDITION" && ! $zoo -ot $certs ]] &&
    openssl x509 -checkend 86400 -noout -in "$zoo/good.pem" >/dev/null 2>&1; then
    return 0
  fi
  rm -rf "$zoo" "$zoo.new"
  mkdir -p "$zoo.new"
  if ! (cd "$zoo.new" && breed) >"$cache/zoo.log" 2>&1; then
    echo "$0: the certificates could not be made; see $cache/zoo.log" >&2
    return 1
  fi
  mv "$zoo.new" "$zoo"
}

breed() {
  local any='subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'
  local server='extendedKeyUsage=serverAuth'
  : >index
  echo 1000 >serial
  echo 1000 >crl.number
  printf '%s\n' '[ca]' 'default_ca=us' '[us]' 'database=index' 'serial=serial' \
    'crlnumber=crl.number' 'new_certs_dir=.' 'default_md=sha256' 'policy=any' \
    'unique_subject=no' 'default_crl_days=365' '[any]' 'commonName=supplied' >ca.conf

  cp "$certs/ca.pem" root.pem
  cp "$certs/ca.key" root.key
  # Below it are leaves and no other authority.
  basic='critical,CA:TRUE,pathlen:0' authority intermediate root
  authority constrained root 'nameConstraints=critical,permitted;DNS:allowed.test'
  authority stranger

  # Good ones.
  leaf good intermediate "$any" "$server"
  key='rsa:2048' leaf rsa2048 intermediate "$any" "$server"
  leaf direct root "$any" "$server"
  leaf wildcard intermediate 'subjectAltName=DNS:*.wild.test' "$server"
  leaf ip-only intermediate 'subjectAltName=IP:127.0.0.1' "$server"
  leaf within-constraints constrained 'subjectAltName=DNS:host.allowed.test' "$server"
  # Bad ones.
  from=20200101000000Z to=20200201000000Z leaf expired intermediate "$any" "$server"
  from=20490101000000Z to=20491231000000Z leaf not-yet intermediate "$any" "$server"
  leaf other-host intermediate 'subjectAltName=DNS:other.test' "$server"
  leaf cn-only intermediate "$server"
  leaf wrong-eku intermediate "$any" 'extendedKeyUsage=clientAuth'
  leaf outside-constraints constrained "$any" "$server"
  leaf untrusted stranger "$any" "$server"
  leaf from-leaf good "$any" "$server"
  leaf from-leaf-alone good "$any" "$server"
  key='rsa:1024' leaf rsa1024 intermediate "$any" "$server"
  leaf revoked intermediate "$any" "$server"
  leaf no-intermediate intermediate "$any" "$server"
  leaf selfsigned '' "$any" "$server"
  # Clients, for servers that ask for one.
  leaf client intermediate 'subjectAltName=DNS:client.test' 'extendedKeyUsage=clientAuth'
  leaf client-untrusted stranger 'subjectAltName=DNS:client.test' 'extendedKeyUsage=clientAuth'

  # Behind a leaf goes what leads to the root, but not the root. `from-leaf-alone` has
  # the authority of its issuer behind it, and not its issuer.
  local name
  for name in *.leaf; do
    name=${name%.leaf}
    case $name in
      direct | no-intermediate | selfsigned | untrusted | client-untrusted) chain "$name" ;;
      within-constraints | outside-constraints) chain "$name" constrained ;;
      from-leaf) chain from-leaf good.leaf intermediate ;;
      *) chain "$name" intermediate ;;
    esac
  done

  openssl ca -config ca.conf -cert intermediate.pem -keyfile intermediate.key -revoke revoked.leaf
  openssl ca -config ca.conf -cert intermediate.pem -keyfile intermediate.key -gencrl -out crl.pem
  echo "$ZOO_EDITION" >edition
}

# authority NAME [ISSUER [EXTENSION...]]: without an issuer it is a root. By `basic`, if
# that is set.
authority() {
  local name=$1 issuer=${2:-}
  shift $(($# > 1 ? 2 : 1))
  certify "$name" "$issuer" "basicConstraints=${basic:-critical,CA:TRUE}" \
    'keyUsage=critical,keyCertSign,cRLSign' "$@"
  mv "$name.leaf" "$name.pem"
}

# leaf NAME ISSUER EXTENSION...: with an empty issuer it signs itself.
leaf() {
  local name=$1 issuer=$2
  shift 2
  certify "$name" "$issuer" 'basicConstraints=critical,CA:FALSE' "$@"
}

# By `key`, `from` and `to`, if they are set.
certify() {
  local name=$1 issuer=$2 cert
  shift 2
  if [[ ${key:-ec} = ec ]]; then
    openssl ecparam -name prime256v1 -genkey -noout -out "$name.key"
  else
    openssl genrsa -out "$name.key" "${key#rsa:}"
  fi
  printf '%s\n' 'subjectKeyIdentifier=hash' "$@" >"$name.ext"
  openssl req -new -key "$name.key" -subj "/CN=${name/cn-only/localhost}" -out "$name.csr"
  cert=$issuer.pem
  # A leaf that plays the authority has no file of its own yet.
  if [[ -f $issuer.leaf ]]; then cert=$issuer.leaf; fi
  local signer=(-cert "$cert" -keyfile "$issuer.key")
  if [[ -z $issuer ]]; then signer=(-selfsign -keyfile "$name.key"); fi
  openssl ca -batch -notext -config ca.conf "${signer[@]}" -in "$name.csr" -extfile "$name.ext" \
    -startdate "${from:-$(date -u -d yesterday +%Y%m%d%H%M%SZ)}" \
    -enddate "${to:-$(date -u -d '+364 days' +%Y%m%d%H%M%SZ)}" -out "$name.leaf"
}

# chain NAME LINK...: NAME.pem, the leaf and what goes with it.
chain() {
  local name=$1 link
  shift
  cp "$name.leaf" "$name.pem"
  for link; do
    if [[ -f $link ]]; then cat "$link"; else cat "$link.pem"; fi >>"$name.pem"
  done
  # For servers that want both in one file.
  cat "$name.pem" "$name.key" >"$name.both"
}
