# xrfm on the CPU. The tables and models are in the folder that is mounted at /data:
#   docker build -t xrfm .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" xrfm fit data.csv --target price
FROM python:3.12-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
WORKDIR /source
COPY pyproject.toml MANIFEST.in README.md LICENSE CHANGELOG.md constraints.txt ./
COPY datasets datasets
COPY leaf_models leaf_models
COPY share share
COPY trees trees
COPY tuning tuning
COPY xrfm_cli xrfm_cli
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -c "import glob, zipfile; assert '.so' in ''.join(zipfile.ZipFile(glob.glob('/wheels/*')[0]).namelist())"

FROM python:3.12-slim
COPY constraints.txt /tmp/
# torch first, so that a change of the package does not download it again
RUN pip install --no-cache-dir -c /tmp/constraints.txt torch --index-url https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir -c /tmp/constraints.txt /wheels/*.whl
# With --user the process has no entry in /etc/passwd: libraries take name and home from these.
ENV HOME=/tmp USER=xrfm
RUN useradd --uid 1000 xrfm && mkdir /data && chown xrfm /data
USER xrfm
WORKDIR /data
ENTRYPOINT ["xrfm"]
CMD ["--help"]
