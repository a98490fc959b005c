# syntax=docker/dockerfile:1
# soak: daemon, runs, workers and observer in one image.
#
#   docker build -t soak .                                       # with memray, for the allocations of targets that soak starts
#   docker build -t soak --build-arg WITH_LLDB=1 .               # and lldb, for memray attached to a process by name
#   docker build -t soak --build-arg WITH_MEMRAY=0 .             # neither: smaller, no close looks into Python targets

ARG PYTHON=3.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG WITH_MEMRAY=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY soak ./soak
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/soak \
    && /opt/soak/bin/pip install -c constraints.txt . \
    && if [ "${WITH_MEMRAY}" = 0 ]; then /opt/soak/bin/pip uninstall -y memray; fi \
    && /opt/soak/bin/soak --version

FROM python:${PYTHON}
ARG WITH_LLDB=0
# hadolint ignore=DL3008
RUN if [ "${WITH_LLDB}" = 1 ]; then \
      apt-get update && apt-get install -y --no-install-recommends lldb && rm -rf /var/lib/apt/lists/*; \
    fi
RUN groupadd --system --gid 10001 soak \
    && useradd --system --uid 10001 --gid soak --home-dir /var/lib/soak --create-home soak \
    && mkdir -p /etc/soak /var/lib/soak/runs \
    && chown -R soak:soak /var/lib/soak
COPY --from=build /opt/soak /opt/soak
COPY scenarios /etc/soak/scenarios
ENV PATH=/opt/soak/bin:$PATH SOAK_RUNS=/var/lib/soak/runs PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/soak
VOLUME ["/var/lib/soak"]
EXPOSE 9646
# of the daemon without TLS, as it is behind a proxy; for anything else in this image: docker run --no-healthcheck
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:9646/healthz', timeout=4)"]
ENTRYPOINT ["soak"]
CMD ["serve", "--scenarios", "/etc/soak/scenarios", "--listen", "127.0.0.1:9646"]
