"""Settings of config/run.yml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pm.settings.base import LARGEST, Count, Section, Threads

__all__ = ["RunSettings"]


class RunSettings(Section):
    """Settings of config/run.yml.

    Attributes
    ----------
    engine
        Where chunks of tickers are computed: processes of this machine, Dask or Ray.
    address
        Address of a running cluster; None to start one on this machine.
    jobs
        Number of processes on this machine; 0 for one per core.
    worker_memory_mb
        Memory in MiB at which a worker is killed; 0 for the engine's default.
    chunk_size
        Number of tickers in a chunk.
    log_level
        Lowest level of what is logged in logs/events.jsonl.
    """

    engine: Literal["local", "dask", "ray"]
    address: Annotated[str, Field(min_length=1)] | None
    jobs: Threads
    worker_memory_mb: Annotated[int, Field(ge=0, le=LARGEST)]
    chunk_size: Count
    log_level: Literal["debug", "info", "warning", "error"]

    @model_validator(mode="after")
    def _an_address_is_of_a_cluster(self) -> RunSettings:
        if self.engine == "local" and self.address is not None:
            raise ValueError("only a cluster has an address: set engine to dask or ray, or address to null")
        return self
