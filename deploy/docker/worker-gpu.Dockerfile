# A worker with GPU engines, which live in an environment of their own (`parley engines list`). Build it from the root
# of the repository, one image for each group:
#   docker build -f deploy/docker/worker-gpu.Dockerfile --build-arg GROUP=torch --build-arg CUDA=13.0.1 -t parley-worker-torch .
#
#   GROUP     runs                        CUDA of its torch   base      driver of the host
#   torch     voices of the family csm    13.0                13.0.1    580 or newer
#   parler    voices of the family parler 13.2                13.0.1    580 or newer
#   whisperx  ears, with `serve`          12.8                12.8.1    570 or newer
#
# torch brings CUDA's libraries in its wheels, for which the base of the same major version is enough.

ARG CUDA=13.0.1
FROM nvidia/cuda:${CUDA}-base-ubuntu24.04 AS build
ARG UV=0.13.9
ARG GROUP=torch
ARG EXTRAS=hub,otel
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_CACHE=1 UV_PYTHON_INSTALL_DIR=/opt/python PATH=/opt/uv/bin:$PATH
# Ubuntu's mirrors keep one version at a time, so none is named here.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==${UV}"
# the engines' lists are those of Python 3.11, which this Ubuntu has not
RUN uv python install 3.11
WORKDIR /build
COPY LICENSE README.md hatch_build.py pyproject.toml requirements.lock ./
COPY src src
RUN uv venv --python 3.11 --managed-python /opt/parley \
    && uv pip install --python /opt/parley/bin/python --constraints requirements.lock ".[${EXTRAS}]"
RUN PARLEY_ENGINES__FOLDER=/opt/engines /opt/parley/bin/parley engines install --yes "${GROUP}"

FROM nvidia/cuda:${CUDA}-base-ubuntu24.04
RUN groupadd --system --gid 10001 parley \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /tmp parley \
    && install -d -o parley -g parley /data \
    && install -d /etc/parley
COPY --from=build /opt/python /opt/python
COPY --from=build /opt/parley /opt/parley
COPY --from=build /opt/engines /opt/engines
COPY deploy/docker/health.py /opt/parley/health.py
ENV PATH=/opt/parley/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    XDG_DATA_HOME=/data XDG_CACHE_HOME=/tmp/cache XDG_CONFIG_HOME=/tmp/config \
    PARLEY_ENGINES__FOLDER=/opt/engines PARLEY_WORKER__VOICEPACKS=/data/voicepacks PARLEY_WORKER__DEVICE=cuda \
    PARLEY_WORKER__METRICS_HOST=0.0.0.0 PARLEY_WORKER__METRICS_PORT=9101 PARLEY_LOG__FORMAT=json \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /etc/parley
USER 10001:10001
EXPOSE 50051 9101
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=300s --retries=3 \
    CMD ["python", "/opt/parley/health.py", "worker"]
ENTRYPOINT ["parley"]
CMD ["worker", "--host", "0.0.0.0"]
