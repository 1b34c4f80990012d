# Portfolio Maximizer with the extras `serve` and `shared`. The workspace is the volume /data.
FROM python:3.13-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pm pm
COPY sql sql
COPY config config
RUN python -m venv /opt/pm \
    && /opt/pm/bin/python -m pip install --no-cache-dir -c constraints.txt '.[serve,shared]'

FROM python:3.13-slim-bookworm
COPY --from=build /opt/pm /opt/pm
RUN useradd --create-home --uid 1000 pm \
    && mkdir /data \
    && chown pm:pm /data
ENV PATH=/opt/pm/bin:$PATH \
    PM_WORKSPACE=/data \
    NUMBA_CACHE_DIR=/data/.numba
USER 1000
WORKDIR /data
VOLUME /data
ENTRYPOINT ["pm"]
CMD ["status"]
