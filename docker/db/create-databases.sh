#!/bin/sh
# Creates the databases of EXTRA_DATABASES that do not exist yet; the connecting user owns them.
set -eu

PGPASSWORD=$(cat /run/secrets/postgres_password)
export PGPASSWORD

create_if_missing() {
    psql -X --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 --set name="$1" <<'SQL'
SELECT 'databases: creating ' || :'name' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name');
SELECT format('CREATE DATABASE %I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SQL
}

# The tasks check the names: lower-case letters, digits and _.
for database in $EXTRA_DATABASES; do
    create_if_missing "$database"
done
