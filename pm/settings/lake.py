"""Type the settings of config/lake.yml."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from pm.settings.base import LARGEST, Days, Section, Threads

__all__ = ["LakeSettings"]


class LakeSettings(Section):
    """Settings of config/lake.yml.

    Attributes
    ----------
    catalog
        Address of the PostgreSQL database with the catalog of a lake that machines share, without a password; empty for
        a lake in the workspace.
    data
        Address in an object store, or folder, of the data of a lake that machines share.
    s3_endpoint
        Address of the object store; empty for Amazon's.
    s3_region
        Region of the bucket; empty for that of the AWS profile or environment.
    retry_attempts
        Number of attempts of a commit that finds the catalog locked.
    retry_base_seconds
        Pause before the second attempt, in seconds; each later pause is twice as long.
    wait_seconds
        Longest wait of a command that writes for another process that is writing, in seconds.
    expire_after_days
        Age at which a compaction forgets a snapshot, in days.
    query_seconds
        Time after which a query of `pm sql` is ended, in seconds; 0 for no limit.
    query_memory_mb
        Memory that a query of `pm sql` can take before it uses the disk, in MB of 1,000,000 bytes.
    query_rows
        Largest number of rows of a result of `pm sql`; 0 for no limit.
    threads
        Number of threads of a query; 0 for one per core.
    """

    catalog: str
    data: str
    s3_endpoint: str
    s3_region: str
    retry_attempts: Annotated[int, Field(ge=1, le=25)]
    retry_base_seconds: Annotated[float, Field(gt=0, le=60)]
    wait_seconds: Annotated[float, Field(ge=0, le=86_400)]
    expire_after_days: Days
    query_seconds: Annotated[float, Field(ge=0, le=86_400)]
    query_memory_mb: Annotated[int, Field(ge=100, le=LARGEST)]
    query_rows: Annotated[int, Field(ge=0, le=LARGEST)]
    threads: Threads

    @field_validator("catalog")
    @classmethod
    def _is_a_database_without_password(cls, address: str) -> str:
        if not address:
            return address
        parts = urlsplit(address)
        # The messages do not repeat the address, which may have a password in it.
        if parts.scheme not in {"postgres", "postgresql"} or not parts.path.strip("/"):
            raise ValueError("the address of the catalog must be postgres://USER@HOST:PORT/DATABASE")
        secret = {name.lower() for name, _ in parse_qsl(parts.query)} & {"password", "sslpassword"}
        if ":" in parts.netloc.rpartition("@")[0] or secret:
            raise ValueError(
                "a password does not belong into the address of the catalog: put it into ~/.pgpass or PGPASSWORD"
            )
        return address

    @field_validator("data")
    @classmethod
    def _is_an_address_or_a_whole_path(cls, address: str) -> str:
        if not address:
            return address
        if address.startswith("s3://"):
            if not address.removeprefix("s3://").strip("/") or "@" in address:
                raise ValueError("the address of the data must be s3://BUCKET/FOLDER")
        elif not (PurePosixPath(address).is_absolute() or PureWindowsPath(address).is_absolute()):
            raise ValueError("the data must be at s3://BUCKET/FOLDER, or in a folder with its whole path")
        return address

    @field_validator("s3_endpoint")
    @classmethod
    def _is_the_address_of_a_server(cls, address: str) -> str:
        if address:
            parts = urlsplit(address)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or "@" in address:
                raise ValueError("the address of the object store must be https://HOST or https://HOST:PORT")
        return address

    @model_validator(mode="after")
    def _catalog_and_data_go_together(self) -> Self:
        if bool(self.catalog) != bool(self.data):
            raise ValueError(
                "catalog and data go together: set both for a lake that machines share, or neither for one in the "
                "workspace"
            )
        return self
