# Sourced by the server scripts beside it. Each of them is called as
#
#   NAME.sh start DIR    starts the server; writes DIR/env and DIR/log
#   NAME.sh stop DIR     stops it and removes DIR
#                        (with OWNER_PID set, once that process has ended, too)
#   NAME.sh check        starts it, asks it with curl, and stops it
#
# DIR/env holds the ports by their names, CA (a PEM file) and CERTS (a folder,
# see certificates.sh). Exit codes of `start`: 0 it answers, 3 it is not
# installed, anything else it failed (see DIR/log).
#
# A script defines `installed` (is the program there?) and `serve` (write the
# configuration, then `launch` the program in the foreground); `ports` if it
# wants others than the two below; `facts` if DIR/env is to say more; and
# `probe`, which asks the running server and fails if it is no use.

set -euo pipefail

readonly NOT_INSTALLED=3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Made once and shared by all servers: certificates, files to serve, the venv.
cache=${MIOHTTP_INTEROP_CACHE:-$HOME/.cache/miohttp-interop}
certs=$cache/certs
www=$cache/www
venv=$cache/venv
# Of its own, since it pins what others need newer.
httpbin_venv=$cache/venv-httpbin
mitm_venv=$cache/venv-mitmproxy
websockets_venv=$cache/venv-websockets
node_modules=$cache/node/node_modules

# The ports a server listens on, as DIR/env names them; `serve` has each of them
# as a variable in small letters.
ports=(PORT TLS_PORT)

. "$here/certificates.sh"

# One line of it is repeated in the larger files, so that a reader can check
# every byte by its position (tests/support/interop.rs knows the same line).
readonly PATTERN='miohttp interop: the quick brown fox jumps over it'

main() {
  local verb=${1:-} dir=${2:-}
  case $verb in
    check) check ;;
    start | stop)
      if [[ -z $dir ]]; then
        echo "usage: $0 start|stop DIR" >&2
        exit 2
      fi
      "$verb" "$dir"
      ;;
    *)
      echo "usage: $0 start DIR | stop DIR | check" >&2
      exit 2
      ;;
  esac
}

start() {
  installed || exit $NOT_INSTALLED
  prepare
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  # Between choosing a free port and listening on it another program may take
  # it, so a failed start is tried again with others.
  local attempt
  for attempt in 1 2 3; do
    choose_ports
    serve
    if all_answer; then
      list_facts >"$dir/env"
      if [[ -n ${OWNER_PID:-} ]]; then
        outlive_nobody "$OWNER_PID" </dev/null >/dev/null 2>&1 &
      fi
      return 0
    fi
    end_server "$dir"
  done
  echo "$0: no answer; the log is $dir/log" >&2
  exit 1
}

stop() {
  end_server "$1"
  if [[ -f $1/outside ]]; then rm -rf -- "$(<"$1/outside")"; fi
  rm -rf -- "$1"
}

# Waits for the end of the process that the server is for, which may come by
# surprise, and stops the server then.
outlive_nobody() {
  while alive "$1" && [[ -d $dir ]]; do sleep 0.5; done
  stop "$dir"
}

# In a subshell, so that a failed start does not end this one.
check() {
  local at code=0
  at=$(mktemp -d)
  (start "$at") || code=$?
  case $code in
    0)
      dir=$at
      . "$dir/env"
      probe || code=$?
      ;;
    "$NOT_INSTALLED") echo 'not installed' ;;
    *) cat "$at/log" >&2 || true ;;
  esac
  stop "$at"
  return "$code"
}

list_facts() {
  local name number
  for name in "${ports[@]}"; do
    number=${name,,}
    echo "$name=${!number}"
  done
  printf 'CA=%s\nCERTS=%s\n' "$certs/ca.pem" "$zoo"
  if declare -F facts >/dev/null; then facts; fi
}

# Unless a script has one of its own.
probe() {
  [[ $(status "http://127.0.0.1:$PORT/") != 000 ]]
}

# For `probe`: the status that curl is answered with, 000 for none.
status() {
  curl -s -m 8 -o "$dir/answer" -w '%{http_code}' "$@" || true
}

# For `probe` of a proxy: a web server with a page, whose URL is then in `origin`.
origin_server() {
  local number
  number=$(free_ports 1)
  mkdir -p "$dir/origin"
  echo hello >"$dir/origin/index.html"
  launch python3 -m http.server -b 127.0.0.1 -d "$dir/origin" "$number"
  answers "$number"
  origin=http://127.0.0.1:$number/
}

# For `probe`: wanted WHAT, and what there is instead if it differs.
wanted() {
  if [[ $2 = "$3" ]]; then
    echo "$1: $3"
  else
    echo "$1: $3, which should be $2"
    return 1
  fi
}

# Runs a program in the background, its output in DIR/log. A server may be
# several programs.
launch() {
  "$@" >>"$dir/log" 2>&1 </dev/null &
  echo $! >>"$dir/pid"
}

# Asks the server to end, and ends it after five seconds if it does not.
end_server() {
  local pids pid i
  [[ -f $1/pid ]] || return 0
  mapfile -t pids <"$1/pid"
  rm -f -- "$1/pid"
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do
    for ((i = 0; i < 50; i++)); do
      alive "$pid" || continue 2
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
  done
}

# A program that ended and that nobody has reaped yet is not alive.
alive() {
  local state
  state=$(sed 's/.*) //; s/ .*//' "/proc/$1/stat" 2>/dev/null) && [[ $state != Z ]]
}

# Waits up to ten seconds for the port to accept, or for a program to die.
answers() {
  local i pid
  for ((i = 0; i < 200; i++)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    while read -r pid; do alive "$pid" || return 1; done <"$dir/pid"
    sleep 0.05
  done
  return 1
}

choose_ports() {
  local free name
  free=($(free_ports "${#ports[@]}"))
  for name in "${ports[@]}"; do
    printf -v "${name,,}" '%s' "${free[0]}"
    free=("${free[@]:1}")
  done
}

# So many ports that nobody uses now.
free_ports() {
  python3 -c '
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))' "$1"
}

all_answer() {
  local name number
  for name in "${ports[@]}"; do
    number=${name,,}
    answers "${!number}" || return 1
  done
}

# A folder for a program that gives up its right to read DIR; `stop` removes it.
make_outside() {
  outside=$(mktemp -d)
  echo "$outside" >"$dir/outside"
}

# Certificates and files; several test processes may come here at once.
prepare() {
  mkdir -p "$cache"
  (
    flock 9
    make_certificates
    make_zoo
    make_files
  ) 9>"$cache/lock"
}

# An authority and a leaf for localhost, made again when a day before its end.
make_certificates() {
  if openssl x509 -checkend 86400 -noout -in "$certs/leaf.pem" >/dev/null 2>&1; then
    return 0
  fi
  rm -rf "$certs" "$certs.new"
  mkdir -p "$certs.new"
  (
    cd "$certs.new"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
      -subj '/CN=miohttp interop authority' -keyout ca.key -out ca.pem
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
      -subj '/CN=localhost' -keyout leaf.key -out leaf.csr
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' \
      'extendedKeyUsage=serverAuth' \
      'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' >leaf.ext
    openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
      -days 365 -extfile leaf.ext -out leaf.pem
  ) >/dev/null 2>&1
  mv "$certs.new" "$certs"
}

make_files() {
  [[ -f $www/complete ]] && return 0
  mkdir -p "$www"
  : >"$www/0"
  printf x >"$www/1"
  pattern 65536 >"$www/64k"
  pattern 65536 >"$www/text.txt"
  pattern 104857600 >"$www/100m"
  touch "$www/complete"
}

# This many bytes of the pattern. `yes` is ended by the closed pipe, which
# `pipefail` would take for a failure.
pattern() {
  { yes "$PATTERN" || true; } | head -c "$1"
}
