# A worker on the CPU: it speaks. Build it from the root of the repository:
#   docker build -f deploy/docker/worker.Dockerfile -t parley-worker .
# It runs with a read-only root; /data keeps models and voice packs, /tmp is a tmpfs, /etc/parley/configs has files
# of settings if there are any.

FROM debian:12.12-slim AS build
ARG UV=0.13.9
ARG EXTRAS=piper,kokoro,sherpa,hub,otel
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_DOWNLOADS=never
# Debian's mirrors keep one version at a time, so none is named here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==${UV}"
WORKDIR /build
COPY LICENSE README.md hatch_build.py pyproject.toml requirements.lock ./
COPY src src
RUN /opt/uv/bin/uv venv --python /usr/bin/python3 /opt/parley \
    && /opt/uv/bin/uv pip install --python /opt/parley/bin/python --constraints requirements.lock ".[${EXTRAS}]"

FROM debian:12.12-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 parley \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp parley \
    && install -d -o parley -g parley /data \
    && install -d /etc/parley
COPY --from=build /opt/parley /opt/parley
COPY deploy/docker/health.py /opt/parley/health.py
ENV PATH=/opt/parley/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_DATA_HOME=/data XDG_CACHE_HOME=/tmp/cache XDG_CONFIG_HOME=/tmp/config \
    PARLEY_WORKER__VOICEPACKS=/data/voicepacks PARLEY_WORKER__METRICS_HOST=0.0.0.0 PARLEY_WORKER__METRICS_PORT=9101 \
    PARLEY_LOG__FORMAT=json
WORKDIR /etc/parley
USER 10001:10001
EXPOSE 50051 9101
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=120s --retries=3 \
    CMD ["python", "/opt/parley/health.py", "worker"]
ENTRYPOINT ["parley"]
CMD ["worker", "--host", "0.0.0.0"]
