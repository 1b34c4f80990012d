"""Settings of config/run.yml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pm.settings.base import Count, Section

__all__ = ["RunSettings"]


class RunSettings(Section):
    """config/run.yml."""

    engine: Literal["local", "dask", "ray"]
    address: Annotated[str, Field(min_length=1)] | None
    jobs: Annotated[int, Field(ge=0)]
    worker_memory_mb: Annotated[int, Field(ge=0)]
    chunk_size: Count

    @model_validator(mode="after")
    def _an_address_is_of_a_cluster(self) -> RunSettings:
        if self.engine == "local" and self.address is not None:
            raise ValueError("address is of a cluster: set engine to dask or ray, or address to null")
        return self
