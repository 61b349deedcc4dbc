#!/bin/sh
# Starts MariaDB with the environment of the stock image: MARIADB_USER, MARIADB_PASSWORD, MARIADB_DATABASE,
# MARIADB_ROOT_PASSWORD; root has no way in from outside. Data is in /var/lib/mysql. Runs as any user but root.
set -eu
data=/var/lib/mysql
quoted() { printf '%s' "$1" | sed "s/\\\\/\\\\\\\\/g; s/'/''/g"; }

if [ ! -d $data/mysql ]; then
    mariadb-install-db --no-defaults --datadir=$data --skip-test-db --auth-root-authentication-method=normal >/dev/null
    mariadbd --no-defaults --datadir=$data --bootstrap <<SQL
FLUSH PRIVILEGES;
DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1', 'root'@'$(hostname)';
ALTER USER 'root'@'localhost' IDENTIFIED BY '$(quoted "${MARIADB_ROOT_PASSWORD:?}")';
CREATE DATABASE IF NOT EXISTS \`$MARIADB_DATABASE\`;
CREATE USER '$MARIADB_USER'@'%' IDENTIFIED BY '$(quoted "${MARIADB_PASSWORD:?}")';
GRANT ALL ON \`$MARIADB_DATABASE\`.* TO '$MARIADB_USER'@'%';
SQL
fi
exec mariadbd --no-defaults --datadir=$data --socket=/tmp/mysqld.sock --pid-file=/tmp/mysqld.pid --bind-address=0.0.0.0 "$@"
