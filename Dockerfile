# The service as an image: a virtual environment that is compiled, belongs to root and is only read. Nothing in it
# needs a shell, or writes a file. `docker build -t kv-updater .`; deploy/README.md says how it is run.
FROM python:3.13.16-slim-trixie@sha256:bf44cdfcb76cd3b41e879bc058fc37ec5872002ccfde7fcb765e218cde0cd79c AS base

FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
  PIP_NO_CACHE_DIR=1 \
  PIP_NO_DEPS=1 \
  PIP_ROOT_USER_ACTION=ignore
WORKDIR /opt/source
# Before the sources, so that a change of those alone installs nothing anew.
COPY deploy/image/requirements.txt deploy/image/build-requirements.txt ./
RUN python -m pip install --quiet --require-hashes -r build-requirements.txt \
  && python -m venv --without-pip /opt/kv-updater \
  && python -m pip --python /opt/kv-updater/bin/python install --quiet --no-compile --require-hashes \
    -r requirements.txt
COPY . .
# Compiled by hash, as times may change on the way into the image; and unchecked, for nobody changes what is there.
RUN python -m hatchling build -t wheel -d /opt/wheel \
  && python -m pip --python /opt/kv-updater/bin/python install --quiet --no-compile --no-index \
    /opt/wheel/kv_updater-*.whl \
  && /opt/kv-updater/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/kv-updater/lib

FROM base
RUN python -m pip uninstall --quiet --yes --root-user-action ignore pip
COPY --from=build /opt/kv-updater /opt/kv-updater
COPY deploy/image/config.yaml /etc/kv-updater/config.yaml
# Made empty: what is mounted here is read. The linter takes its name for a secret.
WORKDIR /etc/kv-updater/secrets
WORKDIR /opt/kv-updater
# hadolint ignore=DL3064
ENV PATH=/opt/kv-updater/bin:$PATH \
  PYTHONDONTWRITEBYTECODE=1 \
  PYTHONUNBUFFERED=1 \
  KV_UPDATER_CONFIG=/etc/kv-updater/config.yaml \
  KV_UPDATER_SECRETS_DIR=/etc/kv-updater/secrets
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="KV-Updater" \
  org.opencontainers.image.description="Keeps the last value of everything: JSON updates from a Redis channel become the newest record under each key." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="$VERSION" \
  org.opencontainers.image.revision="$REVISION"
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/kv-updater/bin/kv-updater"]
CMD ["run"]
