"""Say where a lake is: in a folder of the workspace, or shared by several machines.

A shared lake has its catalog in a PostgreSQL database, and its data in an object store or in a folder that every
machine sees. Its location has no password in it: those come from the usual places of PostgreSQL's and Amazon's clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from pm.lake.layout import CATALOG, DATA

if TYPE_CHECKING:
    from pm.settings import LakeSettings

__all__ = ["OBJECT_STORE", "LakeLocation", "located"]

OBJECT_STORE = "s3://"
"""Start of the address of data in an object store."""
_SCHEMA = "lake"
"""Schema of the catalog's tables in the database, unless its address names another."""


@dataclass(frozen=True)
class LakeLocation:
    """Where a lake is.

    Attributes
    ----------
    folder
        The workspace's lake folder. It holds a lake that is not shared, and of each lake the files that a command needs
        while it works.
    catalog
        Address of the PostgreSQL database with the catalog of a shared lake, without a password; '' for a lake in the
        folder.
    data
        Address, 's3://bucket/folder', or folder of a shared lake's data; '' for a lake in the folder.
    endpoint
        Address of the object store; '' for Amazon's.
    region
        Region of the bucket; '' for that of the AWS profile or environment.
    """

    folder: Path
    catalog: str = ""
    data: str = ""
    endpoint: str = ""
    region: str = ""

    @classmethod
    def of(cls, folder: Path, settings: LakeSettings) -> LakeLocation:
        """Return the location of a workspace's lake.

        Parameters
        ----------
        folder
            The workspace's lake folder.
        """
        if not settings.catalog:
            return cls(folder)
        return cls(folder, settings.catalog, settings.data, settings.s3_endpoint, settings.s3_region)

    @property
    def is_shared(self) -> bool:
        """Whether other machines can have the same lake."""
        return bool(self.catalog)

    @property
    def is_in_object_store(self) -> bool:
        """Whether the data is in an object store, not in a folder."""
        return self.data.startswith(OBJECT_STORE)

    @property
    def catalog_file(self) -> Path:
        """File of the catalog of a lake in a folder."""
        return self.folder / CATALOG

    @property
    def data_folder(self) -> Path:
        """Folder of the data, of a lake whose data is not in an object store."""
        return Path(self.data) if self.data else self.folder / DATA

    @property
    def data_path(self) -> str:
        """Folder or address of the data as DuckLake is told it, with a slash at its end."""
        if self.is_in_object_store:
            return self.data.rstrip("/") + "/"
        return f"{self.data_folder}/"

    @property
    def bucket(self) -> str:
        """Address of the bucket of data in an object store."""
        return OBJECT_STORE + self.data.removeprefix(OBJECT_STORE).partition("/")[0]

    @property
    def schema(self) -> str:
        """Schema of the catalog's tables in the PostgreSQL database."""
        return dict(parse_qsl(urlsplit(self.catalog).query)).get("schema", _SCHEMA)

    @property
    def database(self) -> str:
        """Address of the PostgreSQL database as its client library understands it: without the schema."""
        parts = urlsplit(self.catalog)
        kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "schema"]
        return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(kept), ""))

    @property
    def where(self) -> str:
        """The lake's place for a message: the folder, or server, database and schema of the catalog."""
        if not self.is_shared:
            return str(self.folder)
        parts = urlsplit(self.catalog)
        server = parts.netloc.rpartition("@")[2] or "the local server"
        return f"{server}, database {unquote(parts.path.lstrip('/'))}, schema {self.schema}"

    def place_of(self, path: str) -> str:
        """Return the whole path or address of a data file.

        Parameters
        ----------
        path
            Path below the folder of the data, with '/' between folders.
        """
        return self.data_path + path if self.is_in_object_store else str(self.data_folder / path)


def located(place: Path | LakeLocation) -> LakeLocation:
    """Return a location as it is, and a folder as the location of the lake in it."""
    return place if isinstance(place, LakeLocation) else LakeLocation(place)
