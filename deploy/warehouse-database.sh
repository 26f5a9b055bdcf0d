#!/bin/sh
# Runs once, when the Postgres volume is new: a role and a database for the warehouse beside Dagster's own. With
# Supabase or another external warehouse WAREHOUSE_PASSWORD is empty, and nothing is made.
set -eu
if [ -z "${WAREHOUSE_PASSWORD:-}" ]; then exit 0; fi
psql --set ON_ERROR_STOP=1 --set password="$WAREHOUSE_PASSWORD" --username "$POSTGRES_USER" --dbname postgres << 'SQL'
CREATE ROLE signalroom LOGIN PASSWORD :'password';
CREATE DATABASE signalroom OWNER signalroom;
REVOKE ALL ON DATABASE signalroom FROM PUBLIC;
SQL
