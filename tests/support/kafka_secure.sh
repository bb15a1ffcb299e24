#!/usr/bin/env bash
# A broker with every lock that the tests open: TLS, SASL, ACLs; beside the open one of kafka.sh.
#   kafka_secure.sh start JARS DIR   on free ports; DIR/listeners says where, DIR/tls has certificates
#   kafka_secure.sh stop DIR         ends it, by the pid in DIR
#
# DIR/listeners, one "name address" a line: `admin` (plain, may do everything: super user ANONYMOUS),
# `tls`, `sasl_tls` and `sasl` (PLAIN, SCRAM-SHA-512, OAUTHBEARER with unsecured tokens). Users of
# PLAIN: plain-user with the password plain-password. Those of SCRAM, and ACLs, are made by the tests.
# DIR/tls: ca.pem, other-ca.pem (signed nothing), client.pem + client.key (CN=certified).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/kafka.sh"

certificates() { # FOLDER: valid for two days, made anew at each start
    local tls=$1 who
    mkdir -p "$tls"
    for who in ca other-ca; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=test $who" \
            -keyout "$tls/$who.key" -out "$tls/$who.pem" 2>>"$tls/log"
    done
    printf 'subjectAltName=IP:127.0.0.1,DNS:localhost\n' >"$tls/broker.ext"
    : >"$tls/client.ext"
    for who in broker client; do
        openssl req -newkey rsa:2048 -nodes -keyout "$tls/$who.key" -out "$tls/$who.csr" \
            -subj "/CN=$([ $who = client ] && echo certified || echo broker)" 2>>"$tls/log"
        openssl x509 -req -days 2 -in "$tls/$who.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" \
            -CAcreateserial -extfile "$tls/$who.ext" -out "$tls/$who.pem" 2>>"$tls/log"
    done
    cat "$tls/broker.key" "$tls/broker.pem" >"$tls/broker.keystore.pem"
}

sasl_of() { # LISTENER
    local modules=org.apache.kafka.common.security
    printf 'listener.name.%s.plain.sasl.jaas.config=%s.plain.PlainLoginModule required user_plain-user="plain-password";\n' "$1" $modules
    printf 'listener.name.%s.scram-sha-512.sasl.jaas.config=%s.scram.ScramLoginModule required;\n' "$1" $modules
    printf 'listener.name.%s.oauthbearer.sasl.jaas.config=%s.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";\n' "$1" $modules
    # A session ends soon, so that a password that was changed is asked for while a test looks on.
    printf 'listener.name.%s.%s.connections.max.reauth.ms=3000\n' "$1" plain "$1" scram-sha-512
}

start_secure() {
    jars=$(realpath -m "$1"); local dir port ports java
    dir=$(realpath -m "$2")
    [ -d "$jars/jars" ] || { say "no jars in $jars: run 'kafka.sh fetch $jars' first, or ./run test"; exit 1; }
    stop "$dir"; rm -rf "$dir"; mkdir -p "$dir/1"
    KAFKA_HEAP=${KAFKA_HEAP:-512m} java_options
    read -r -a ports <<<"$(free_ports 5)"
    certificates "$dir/tls"
    cat >"$dir/1/server.properties" <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${ports[4]}
listeners=ADMIN://127.0.0.1:${ports[0]},TLS://127.0.0.1:${ports[1]},SASLTLS://127.0.0.1:${ports[2]},SASL://127.0.0.1:${ports[3]},CONTROLLER://127.0.0.1:${ports[4]}
listener.security.protocol.map=ADMIN:PLAINTEXT,TLS:SSL,SASLTLS:SASL_SSL,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=ADMIN
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/broker.keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$dir/tls/ca.pem
listener.name.tls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512,OAUTHBEARER
$(sasl_of sasltls)
$(sasl_of sasl)
log.dirs=$dir/1/data
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
PROPERTIES
    "${java[@]}" kafka.tools.StorageTool format -t "$(head -c 16 /dev/urandom | base64 | tr '+/' 'xy' | tr -d '=')" \
        -c "$dir/1/server.properties" >"$dir/1/format.log" 2>&1
    launch "$dir/1"
    for port in "${ports[@]:0:4}"; do await_port "$dir/1" "$port"; done
    printf '%s 127.0.0.1:%s\n' admin "${ports[0]}" tls "${ports[1]}" sasl_tls "${ports[2]}" sasl "${ports[3]}" >"$dir/listeners"
    say "a broker with locks; the admin's door is 127.0.0.1:${ports[0]}"
}

case "${1:-}" in
    start) start_secure "$2" "$3" ;;
    stop) stop "$2"; rm -f "$2/listeners" ;;
    *) sed -n '2,10p' "$0" >&2; exit 64 ;;
esac
