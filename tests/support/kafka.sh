#!/usr/bin/env bash
# A real Apache Kafka for the tests, from Maven, in a folder of the caller's.
#   kafka.sh fetch DIR            the jars and a log configuration (needs a JDK >= 17 and Maven)
#   kafka.sh fetch-connect DIR    the jars of Kafka Connect with its FileStreamSink, for ./run bench --peers
#   kafka.sh start JARS DIR [N]   N brokers (1) in KRaft mode on free ports; DIR/bootstrap says where
#                                 ($KAFKA_HEAP; $KAFKA_PROPERTIES: further lines of server.properties)
#   kafka.sh crash DIR            ends them as a power cut would (kill -9)
#   kafka.sh up JARS DIR          starts them again, with what they had, on the same ports
#   kafka.sh stop DIR             ends them, by the pids in DIR
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/free_ports.sh"
version=4.1.1
say() { printf 'kafka: %s\n' "$*" >&2; }

fetch() { # DIR [ARTIFACT…]
    local dir artifact dependencies=''; dir=$(realpath -m "$1"); shift
    for artifact in "${@:-kafka_2.13}"; do
        dependencies+="<dependency><groupId>org.apache.kafka</groupId><artifactId>$artifact</artifactId><version>$version</version></dependency>"
    done
    [ -e "$dir/.complete-$version" ] && return 0
    rm -rf "$dir"; mkdir -p "$dir"
    cat >"$dir/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sluice</groupId><artifactId>broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    $dependencies
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
    say "fetching Apache Kafka $version by Maven: ${*:-the broker}"
    mvn -q -B -f "$dir/pom.xml" dependency:copy-dependencies -DoutputDirectory="$dir/jars" \
        >"$dir/mvn.log" 2>&1 || { tail -20 "$dir/mvn.log" >&2; exit 1; }
    touch "$dir/.complete-$version"
}

java_options() { # into `java`
    java=(java -Xmx"${KAFKA_HEAP:-1g}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$jars/jars/*"
        -Dorg.slf4j.simpleLogger.defaultLogLevel=warn)
}

launch() { # FOLDER of one broker, its server.properties in it; `java` is set
    # A session of its own: whatever ends the test leaves it to `stop`. setsid becomes the JVM, so
    # that the pid is its.
    setsid "${java[@]}" kafka.Kafka "$1/server.properties" >>"$1/log" 2>&1 </dev/null &
    echo $! >"$1/pid"
    disown
}

await_port() { # FOLDER PORT
    # A port opens before its broker works; whoever connects waits for an answer (kafka_fixture.cpp).
    local deadline=$((SECONDS + 90))
    until (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; do
        kill -0 "$(cat "$1/pid")" 2>/dev/null || { tail -20 "$1/log" >&2; say "the broker of $1 ended"; exit 1; }
        [ $SECONDS -lt $deadline ] || { tail -20 "$1/log" >&2; say "the broker of $1 does not answer"; exit 1; }
        sleep 0.1
    done
}

start() {
    jars=$(realpath -m "$1"); local dir count=${3:-1} i ports voters='' bootstrap='' cluster formats=()
    dir=$(realpath -m "$2")  # the pid of a broker is told by its folder in the command line
    [ -d "$jars/jars" ] || { say "no jars in $jars: run '$0 fetch $jars' first, or ./run test"; exit 1; }
    stop "$dir"; rm -rf "$dir"; mkdir -p "$dir"
    local java; java_options
    read -r -a ports <<<"$(free_ports $((count * 2)))"
    # Letters and digits only: an id that begins with '-' would be taken for an option.
    cluster=$(head -c 16 /dev/urandom | base64 | tr '+/' 'xy' | tr -d '=')
    for ((i = 1; i <= count; i++)); do
        voters+="${voters:+,}$i@127.0.0.1:${ports[$((i * 2 - 1))]}"
        bootstrap+="${bootstrap:+,}127.0.0.1:${ports[$((i * 2 - 2))]}"
    done
    for ((i = 1; i <= count; i++)); do
        mkdir -p "$dir/$i"
        cat >"$dir/$i/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=$i
controller.quorum.voters=$voters
listeners=PLAINTEXT://127.0.0.1:${ports[$((i * 2 - 2))]},CONTROLLER://127.0.0.1:${ports[$((i * 2 - 1))]}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$dir/$i/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=$count
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=$count
transaction.state.log.min.isr=$((count > 1 ? 2 : 1))
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
log.initial.task.delay.ms=500
unclean.leader.election.enable=false
${KAFKA_PROPERTIES:-}
PROPERTIES
        "${java[@]}" kafka.tools.StorageTool format -t "$cluster" -c "$dir/$i/server.properties" >"$dir/$i/format.log" 2>&1 &
        formats+=($!)
    done
    for i in "${formats[@]}"; do wait "$i"; done
    for ((i = 1; i <= count; i++)); do launch "$dir/$i"; done
    for ((i = 1; i <= count; i++)); do await_port "$dir/$i" "${ports[$((i * 2 - 2))]}"; done
    echo "$bootstrap" >"$dir/bootstrap"
    say "$count broker(s) at $bootstrap"
}

up() {
    jars=$(realpath -m "$1"); local dir broker
    dir=$(realpath -m "$2")
    local java; java_options
    for broker in "$dir"/*/; do launch "${broker%/}"; done
    for broker in "$dir"/*/; do
        await_port "${broker%/}" "$(sed -n 's/^listeners=PLAINTEXT:.*127\.0\.0\.1:\([0-9]*\),.*/\1/p' "$broker/server.properties")"
    done
}

crash() {
    local dir file pid
    dir=$(realpath -m "$1")
    for file in "$dir"/*/pid; do
        pid=$(cat "$file")
        is_ours "$pid" "$dir" || continue
        kill -9 "$pid"
        while is_ours "$pid" "$dir"; do sleep 0.02; done
    done
}

# Only what this script started: the pid must still be a Kafka of this folder. One that has ended and that
# nobody waits for, where process 1 is no init, has no command line any more.
is_ours() { tr '\0' ' ' 2>/dev/null <"/proc/$1/cmdline" | grep -qF "$2/"; } # PID DIR

stop() { # FOLDER [SIGNAL]
    local dir file pid signal=${2:-TERM}
    dir=$(realpath -m "$1")
    for file in "$dir"/*/pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        if is_ours "$pid" "$dir"; then
            kill -s "$signal" "$pid" 2>/dev/null || true
            for _ in $(seq 100); do is_ours "$pid" "$dir" || break; sleep 0.1; done
            is_ours "$pid" "$dir" && kill -9 "$pid" 2>/dev/null || true
        fi
        rm -f "$file"
    done
    rm -f "$dir/bootstrap"
}

[ "${BASH_SOURCE[0]}" = "$0" ] || return 0  # read by other scripts for its functions

case "${1:-}" in
    fetch) fetch "$2" ;;
    fetch-connect) fetch "$2" connect-runtime connect-file connect-json ;;
    start) start "$2" "$3" "${4:-1}" ;;
    crash) crash "$2" ;;
    up) up "$2" "$3" ;;
    stop) stop "$2" ;;
    *) sed -n '2,9p' "$0" >&2; exit 64 ;;
esac
