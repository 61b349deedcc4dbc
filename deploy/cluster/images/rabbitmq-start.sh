#!/bin/sh
# Starts RabbitMQ with the environment of the stock image: RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS,
# RABBITMQ_DEFAULT_VHOST. Data and the cookie are in /var/lib/rabbitmq, what is said goes to the output. Any user but root.
set -eu
export HOME=/var/lib/rabbitmq RABBITMQ_LOGS=- RABBITMQ_CONFIG_FILE=/tmp/rabbitmq.conf
export RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia RABBITMQ_PID_FILE=/tmp/rabbitmq.pid
export RABBITMQ_ENABLED_PLUGINS_FILE=/tmp/enabled_plugins RABBITMQ_LOG_BASE=/tmp
umask 077
cat >"$RABBITMQ_CONFIG_FILE" <<CONF
default_user = ${RABBITMQ_DEFAULT_USER:-guest}
default_pass = ${RABBITMQ_DEFAULT_PASS:-guest}
default_vhost = ${RABBITMQ_DEFAULT_VHOST:-/}
loopback_users = none
CONF
echo '[].' >$RABBITMQ_ENABLED_PLUGINS_FILE
exec /usr/lib/rabbitmq/bin/rabbitmq-server "$@"
