#!/usr/bin/env bash
# Every role in one container, for hosts that give a volume to one machine only. When one role ends, all are ended and
# the host starts the machine anew: runs that are lost by that are started again by run monitoring.
set -euo pipefail
set -m # each role is a process group of its own: without, bash lets them ignore SIGINT, which Dagster takes SIGTERM for
export SIGNALROOM_CODE_SERVER=127.0.0.1

# Runs are children of the code server, which ends when they have: a stop lets them, the end of a role does not.
end_all() {
  trap '' TERM INT
  for role in $(jobs -p); do kill -TERM "$role" 2> /dev/null || true; done
  for _ in $(seq "$1"); do
    if [ -z "$(jobs -rp)" ]; then break; fi
    sleep 1
  done
  for role in $(jobs -p); do kill -KILL -- "-$role" 2> /dev/null || true; done
}
trap 'end_all "${SIGNALROOM_STOP_SECONDS:-270}"; exit 143' TERM INT

dagster instance migrate
dagster api grpc --host 127.0.0.1 --port 4000 --log-format json --module-name signalroom_dagster.definitions &
for _ in $(seq 60); do
  if dagster api grpc-health-check --port 4000 2> /dev/null; then break; fi
  sleep 1
done
dagster-daemon run --log-format json --workspace deploy/workspace.yaml &
dagster-webserver --host "${SIGNALROOM_WEBSERVER_HOST:-127.0.0.1}" --port 3000 --log-format json --workspace deploy/workspace.yaml &
if [ "${SIGNALROOM_GATEWAY:-on}" = on ]; then
  signalroom events serve --host 0.0.0.0 --port 8080 &
fi
wait -n || true
echo "one role ended: ending the others" >&2
end_all 10
exit 1
