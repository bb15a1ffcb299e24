#!/usr/bin/env bash
# sluice in one screen, on an embedded broker: plan, deliver, check the books, restart.
#   demo.sh BUILD_FOLDER
set -euo pipefail
build=$(realpath "$1")
work=$build/demo
sluice() { "$build/bin/sluice" "$@" --config "$work/sluice.yaml"; }
bold() { printf '\033[1m%s\033[0m\n' "$*"; }

rm -rf "$work"; mkdir -p "$work"
mkfifo "$work/alive"
exec 9<>"$work/alive" # the broker lives as long as this shell holds its input open
"$build/tests/sluice_demo_broker" "$work/bootstrap" <"$work/alive" 9>&- 2>"$work/broker.log" &
broker=$!
trap 'exec 9>&-; kill $broker 2>/dev/null || true; wait $broker 2>/dev/null || true' EXIT

configure() { # MIN_PARTITIONS_LINE MAX_OFFSETS
    cat >"$work/sluice.yaml" <<YAML
dataDir: $work/data
http: off
pipelines:
  - name: orders
    source:
      kafka.bootstrap.servers: $(cat "$work/bootstrap")
      subscribe: [orders, payments]
      startingOffsets: { orders: { 0: 1000, 1: 2000, 2: 5000 }, payments: { 0: 100 } }
      maxOffsetsPerTrigger: $2
      maxRecordsPerPartition: 50000
$1
    trigger: availableNow
    sink: { plugin: file, path: $work/out, format: json }
YAML
}

records_in() { sed -n 's/.*batch committed.* records=\([0-9]*\).*/\1/p' "$1" | awk '{s += $1} END {print s + 0}'; }
output() { find "$work/out" -name '*.jsonl' ! -name '.*' | sort; }

drain() { # LOG: runs the daemon to its end, with a bar
    "$build/bin/sluiced" --config "$work/sluice.yaml" >/dev/null 2>"$1" 9>&- &
    local daemon=$! done_records bar status=0
    local tty=''; [ -t 1 ] && tty=1
    while :; do
        done_records=$(records_in "$1")
        bar=$(printf '%*s' $((done_records * 40 / 300000)) '' | tr ' ' '#')
        [ -z "$tty" ] || printf '\r   [%-40s] %7d of 300000 records' "$bar" "$done_records"
        [ -e "/proc/$daemon" ] || break
        sleep 0.05
    done
    wait $daemon || status=$?
    [ -z "$tty" ] || printf '\r%*s\r' 70 ''
    [ $status = 0 ] || { echo "sluiced ended with $status:"; tail -5 "$1"; exit 1; }
}

until [ -e "$work/bootstrap" ]; do
    kill -0 $broker 2>/dev/null || { cat "$work/broker.log"; exit 1; }
    sleep 0.05
done

bold "1. The plan, before anything is read (maxRecordsPerPartition: 50000)"
configure '' unlimited
sluice plan orders
bold "2. The same with minPartitions: 8: the first of the largest ranges is halved"
configure '      minPartitions: 8' unlimited
sluice plan orders
bold "3. Deliver it: planned batches of at most 100,000 offsets, into JSON Lines files"
configure '' 100000
drain "$work/first.log"
bold "4. The books of every batch: planned = delivered + filtered + dead-lettered + gaps + lost"
sluice batches list orders
sluice batches show orders/0
printf '   %d lines, one file a range: %s\n' "$(output | xargs cat | wc -l)" "$(output | head -1)"
bold "5. Restart from the checkpoint: nothing is read twice"
drain "$work/second.log"
again=$(records_in "$work/second.log")
lines=$(output | xargs cat | wc -l)
twice=$(output | xargs sed 's/"timestamp".*//' | sort | uniq -d | wc -l)
printf '   %d records read again; %d lines, %d of them twice\n' "$again" "$lines" "$twice"
[ "$again" = 0 ] && [ "$twice" = 0 ] && [ "$lines" = 300000 ] || { echo "that is wrong"; exit 1; }
