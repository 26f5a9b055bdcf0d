#!/bin/sh
# Put Dagster's settings where Dagster looks for them, then become the role. They are written at each start, so that
# they are always the image's and never what a volume kept of an older one.
set -eu
home="${DAGSTER_HOME:?}"
app="$(dirname "$0")/.."

if [ "$(id -u)" = 0 ]; then # on hosts that mount volumes owned by root
  chown 10001:10001 "$home"
  exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs "$0" "$@"
fi

if [ -w "$home" ]; then # roles start side by side on one volume: each replaces the whole file at once
  cat "$app/dagster.yaml" ${DAGSTER_PG_HOST:+"$app/deploy/storage.yaml"} > "$home/.dagster.yaml.$$.$(hostname)"
  mv "$home/.dagster.yaml.$$.$(hostname)" "$home/dagster.yaml"
fi
exec "$@"
