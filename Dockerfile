# syntax=docker/dockerfile:1
# Two images of one environment: docker build --target api . ; docker build --target worker .
# They share all layers, so that the second costs no space.

FROM python:3.12-slim AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
RUN pip install --no-cache-dir 'uv>=0.9,<1' && python -m venv /opt/mfnet
WORKDIR /src
# The dependencies change seldom and weigh most: a layer of their own, each file checked by hash.
COPY requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv pip install --python /opt/mfnet/bin/python --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY mfnet mfnet
COPY model model
COPY training training
COPY service service
RUN uv pip install --python /opt/mfnet/bin/python --no-deps --no-build-isolation .

FROM python:3.12-slim AS runtime
RUN groupadd --gid 10001 mfnet \
    && useradd --uid 10001 --gid mfnet --no-create-home --home-dir /data mfnet \
    && install -d -o mfnet -g mfnet /data
COPY --from=build /opt/mfnet /opt/mfnet
ENV PATH=/opt/mfnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MFNET_DATA_DIR=/data
USER mfnet
WORKDIR /data
VOLUME /data

FROM runtime AS api
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["mfnet", "serve", "--no-worker", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS worker
# The engine loads the model on the first job; until then a worker is small.
STOPSIGNAL SIGTERM
CMD ["mfnet", "worker"]
