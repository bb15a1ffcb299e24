#!/usr/bin/env bash
# Three brokers, for tests that kill, freeze and restart one of them under load.
#   kafka_cluster.sh start JARS DIR     on free ports; DIR/bootstrap names them, DIR/N/pid is broker N's
#   kafka_cluster.sh again JARS DIR N   broker N, which has ended, as it was; returns at once
#   kafka_cluster.sh stop DIR           ends them all, frozen ones too
#
# Small heaps, and timeouts by which a broker that is silent has lost its partitions after 3 seconds.
# Each is a controller too: two of the three must live for anything to change hands.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/kafka.sh"
export KAFKA_HEAP=${KAFKA_HEAP:-256m}

properties='broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
replica.lag.time.max.ms=3000
replica.fetch.wait.max.ms=200
controller.quorum.fetch.timeout.ms=1500
min.insync.replicas=2
default.replication.factor=3'

again() {
    jars=$(realpath -m "$1"); local dir java
    dir=$(realpath -m "$2")
    java_options
    launch "$dir/$3"
}

case "${1:-}" in
    start) KAFKA_PROPERTIES=$properties start "$2" "$3" 3 ;;
    again) again "$2" "$3" "$4" ;;
    stop) stop "$2" KILL ;;  # the last two would wait for one another to hand over leadership
    *) sed -n '2,8p' "$0" >&2; exit 64 ;;
esac
