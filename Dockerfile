# One image for every role: webserver, daemon, code server, gateway. The role is the command: see docker-compose.yml.
#   docker build --target dev|prod|fly .      without a target: prod
#   docker build --build-arg EXTRAS=kubernetes .           for Kubernetes: with what launches pods
# BASE is any Debian with Python 3.11 to 3.13 as python3, and its venv module.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS tools
WORKDIR /build
COPY requirements-uv.lock requirements.lock pyproject.toml README.md ./
RUN python3 -m venv /tools \
 && /tools/bin/python -m pip install -q --no-cache-dir --disable-pip-version-check --require-hashes -r requirements-uv.lock

# pyproject.toml says what production needs, the lock which version and hash: what the lock does not hold fails.
# Bytecode is compiled here, because a run is a process of its own that may not write into the image.
FROM tools AS packages
ARG EXTRAS=
RUN python3 -m venv --without-pip /venv \
 && /tools/bin/uv pip install -q --no-cache --python /venv/bin/python --require-hashes -c requirements.lock -r pyproject.toml \
      ${EXTRAS:+--extra ${EXTRAS}} \
 && rm -f /venv/.lock && find /venv/lib -type d -name tests -prune -exec rm -rf {} + \
 && python3 -m compileall -q -j 0 /venv/lib

FROM packages AS package
COPY signalroom_dagster signalroom_dagster
RUN /tools/bin/uv build -q --no-cache --wheel --require-hashes --build-constraints requirements.lock --python /tools/bin/python --out-dir /wheel . \
 && /tools/bin/uv pip install -q --no-cache --no-deps --python /venv/bin/python --compile-bytecode --target /package /wheel/*.whl \
 && rm -f /package/.lock

# The project beside the package: settings, clients, and report templates of its own where there are any.
FROM ${BASE} AS project
COPY . /context
WORKDIR /context
RUN install -d /project/.dlt /project/deploy && cp .dlt/config.toml /project/.dlt \
 && cp -r workspace.yaml dagster.yaml data $(ls -d reports 2> /dev/null) /project \
 && cp deploy/entrypoint.sh deploy/one-machine.sh deploy/storage.yaml deploy/workspace.yaml /project/deploy

FROM ${BASE} AS dev
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends git make && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --create-home signalroom && install -d -o signalroom -g signalroom /work
WORKDIR /work
USER 10001
COPY --chown=10001:10001 requirements-uv.lock requirements.lock pyproject.toml README.md Makefile ./
COPY --chown=10001:10001 signalroom_dagster signalroom_dagster
RUN UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 make .venv/.ready
COPY --chown=10001:10001 . .
RUN touch .venv/.ready
CMD ["make", "help"]

FROM ${BASE} AS prod
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/signalroom --shell /usr/sbin/nologin signalroom \
 && install -d -m 750 -o signalroom -g signalroom /var/lib/signalroom
WORKDIR /app
COPY --from=packages /venv /venv
COPY --from=package /package /app/package
COPY --from=project /project ./
# What changes stands under /var/lib/signalroom, the volume, and under /tmp; the rest may be read-only.
ENV PATH=/app/package/bin:/venv/bin:$PATH PYTHONPATH=/app/package PYTHONUNBUFFERED=1 HOME=/var/lib/signalroom \
    DAGSTER_HOME=/var/lib/signalroom DAGSTER_DISABLE_TELEMETRY=1 MPLCONFIGDIR=/tmp/matplotlib \
    SIGNALROOM_ENV=production SIGNALROOM_PROJECT_DIR=/app SIGNALROOM_WORK_DIR=/var/lib/signalroom/work \
    SIGNALROOM_REPORTS_DIR=/var/lib/signalroom/reports \
    DESTINATION__DUCKDB__CREDENTIALS=/var/lib/signalroom/signalroom.duckdb
USER 10001
EXPOSE 3000
ENTRYPOINT ["/app/deploy/entrypoint.sh"]
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:3000/server_info', timeout=8)"]
CMD ["dagster-webserver", "-h", "0.0.0.0", "-p", "3000", "-w", "workspace.yaml"]

# Fly mounts its volume owned by root: the entrypoint hands it over and then gives root up.
FROM prod AS fly
USER root
CMD ["deploy/one-machine.sh"]

FROM prod
