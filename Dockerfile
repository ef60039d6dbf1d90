# Three images: docker build --target api . ; --target worker . ; --target trainer .
# The API and workers on a processor do without torch; the trainer and workers on a GPU have it.
# deploy/pin-images.sh pins what they are built on.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS system
# rasterio's wheel needs it, and the base image lacks it.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libexpat1 \
    && rm -rf /var/lib/apt/lists/*

FROM system AS build
# The image's own pip: nothing is downloaded whose hash is not in a lock.
RUN python -m venv /opt/mfnet
WORKDIR /src
# The dependencies change seldom and weigh most: a layer of their own, each file checked by hash.
COPY requirements-service.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/mfnet/bin/pip install --require-hashes -r requirements-service.lock
COPY pyproject.toml README.md LICENSE ./
COPY mfnet mfnet
COPY model model
COPY training training
COPY service service
RUN /opt/mfnet/bin/pip install --no-deps --no-build-isolation .
# What a missing system library would break is found here, not by the first upload.
RUN /opt/mfnet/bin/python -c "import rasterio, openvino, pyogrio, exactextract, bulldozer, mfnet.service.app"

FROM build AS build-with-torch
COPY requirements-train.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/mfnet/bin/pip install --require-hashes -r requirements-train.lock
RUN /opt/mfnet/bin/python -c "import torch, mfnet.model.network.mfnet"

FROM system AS runtime
RUN groupadd --gid 10001 mfnet \
    && useradd --uid 10001 --gid mfnet --no-create-home --home-dir /data mfnet \
    && install -d -o mfnet -g mfnet /data
ENV PATH=/opt/mfnet/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MFNET_DATA_DIR=/data \
    MFNET_CACHE_DIR=/data/cache
USER mfnet
WORKDIR /data
VOLUME /data

FROM runtime AS api
COPY --from=build /opt/mfnet /opt/mfnet
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["mfnet", "serve", "--no-worker", "--host", "0.0.0.0", "--port", "8000"]

FROM runtime AS worker
COPY --from=build /opt/mfnet /opt/mfnet
# The engine loads the model on the first job; until then a worker is small.
STOPSIGNAL SIGTERM
CMD ["mfnet", "worker"]

FROM runtime AS trainer
COPY --from=build-with-torch /opt/mfnet /opt/mfnet
STOPSIGNAL SIGTERM
CMD ["mfnet", "worker", "--work", "retrain"]
