# One image for the code server, the daemon and the webserver. Nothing runs as root, packages come from the hash lock.
FROM python:3.12-slim AS packages
WORKDIR /app
COPY requirements-uv.lock requirements.lock ./
RUN python -m venv /venv \
 && /venv/bin/python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && /venv/bin/uv pip sync --no-cache --python /venv/bin/python --require-hashes requirements.lock requirements-uv.lock

FROM python:3.12-slim
RUN useradd --uid 10001 --create-home signalroom && mkdir -p /var/lib/signalroom && chown signalroom /var/lib/signalroom
WORKDIR /app
COPY --from=packages /venv /venv
COPY pyproject.toml README.md workspace.yaml dagster.yaml ./
COPY .dlt/config.toml .dlt/config.toml
COPY data data
COPY signalroom_dagster signalroom_dagster
RUN /venv/bin/uv pip install --no-cache --python /venv/bin/python --no-deps --no-build-isolation -e . \
 && cp dagster.yaml /var/lib/signalroom/ && chown signalroom /var/lib/signalroom/dagster.yaml
ENV PATH=/venv/bin:$PATH DAGSTER_HOME=/var/lib/signalroom SIGNALROOM_ENV=production \
    SIGNALROOM_WORK_DIR=/var/lib/signalroom/work DAGSTER_DISABLE_TELEMETRY=1
USER signalroom
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=10s --start-period=90s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:3000/server_info', timeout=8)"]
CMD ["dagster", "dev", "-h", "0.0.0.0", "-p", "3000", "-w", "workspace.yaml"]
