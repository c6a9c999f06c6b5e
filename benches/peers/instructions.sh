#!/usr/bin/env bash
# Instructions that one request costs in user space, by callgrind: the
# difference of two runs of different length, so that starting up is not in it.
#
#   benches/peers/instructions.sh [FILE] [CLIENT...]
#
# Prints a line a client and writes {"seq": {CLIENT: COUNT}} into FILE
# (instructions.json), which `peers --instr FILE` takes into its report.
# `miohttp` sends parsed URLs, `miohttp-string` texts. Needs valgrind and jq.
set -euo pipefail

cd "$(dirname "$0")"
file=${1:-instructions.json}
shift || true
clients=("$@")
if ((${#clients[@]} == 0)); then
  clients=(limit miohttp miohttp-string miohttp-started miohttp-async ureq reqwest
    reqwest-blocking isahc curl curl-multi hyper attohttpc minreq)
fi
# Above the warm-up of 1000, or its length would differ, too.
few=1000
many=2000

command -v valgrind >/dev/null || { echo 'valgrind is not installed' >&2; exit 1; }
command -v jq >/dev/null || { echo 'jq is not installed' >&2; exit 1; }
cargo build --release --quiet
peers=${CARGO_TARGET_DIR:-target}/release/peers

folder=$(mktemp -d)
# The server ends when its input does.
mkfifo "$folder/in" "$folder/out"
"$peers" serve "$folder" <"$folder/in" >"$folder/out" &
server=$!
exec 3>"$folder/in"
trap 'exec 3>&-; kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
read -r doors <"$folder/out"
plain=$(jq -r .plain <<<"$doors")
all=$(jq -r .many <<<"$doors")

# What so many requests by this client take, everything included.
collected() {
  timeout 300 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$peers" child \
    --workload seq --client "$1" --server "$plain" --many "$all" --ca "$folder/ca.pem" \
    --requests "$2" 2>&1 >/dev/null | sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

json='{}'
for client in "${clients[@]}"; do
  first=$(collected "$client" "$few")
  second=$(collected "$client" "$many")
  if [[ -z $first || -z $second ]]; then
    echo "$client: callgrind has failed" >&2
    continue
  fi
  each=$(((second - first) / (many - few)))
  printf '%-18s %9d\n' "$client" "$each"
  json=$(jq --arg client "$client" --argjson each "$each" '.[$client] = $each' <<<"$json")
done
jq '{seq: .}' <<<"$json" >"$file"
