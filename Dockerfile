# syntax=docker/dockerfile:1
# Greenroom's controller with Docker: docker build -t greenroom . (`make image` makes the same without it; where this
# project is made no Docker daemon runs, so this file is not built there.)
FROM ghcr.io/astral-sh/uv:0.13 AS uv

FROM python:3.11-slim AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_PROJECT_ENVIRONMENT=/opt/greenroom UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY pyproject.toml uv.lock ./
# /root/.cache/uv is where uv keeps its cache in an image: https://docs.astral.sh/uv/guides/integration/docker/#caching
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --extra cluster --extra seeds --no-install-project
COPY README.md LICENSE NOTICE ./
COPY src src
# A cluster needs neither the local engine nor what is for laptops and tests.
RUN cd src/greenroom && rm -r local demo simulate simulator importer
RUN --mount=type=cache,target=/root/.cache/uv uv sync --locked --no-dev --extra cluster --extra seeds --no-editable

FROM python:3.11-slim
COPY --from=build /opt/greenroom /opt/greenroom
ENV PATH=/opt/greenroom/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8 HOME=/tmp
USER 65532:65532
ENTRYPOINT ["greenroom"]
