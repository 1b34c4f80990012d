"""Look at all that a shared lake needs, before a workspace relies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pm.errors import StorageError
from pm.lake.binding import quote
from pm.lake.connection import attach, connect
from pm.lake.shared import prepare_catalog, translated_shared

if TYPE_CHECKING:
    from pm.lake.location import LakeLocation

__all__ = ["check_shared"]


def check_shared(location: LakeLocation) -> bool:
    """Return whether there is a lake yet, after a look at all that a shared lake needs.

    Raises
    ------
    PmError
        The catalog's database, or the object store or folder of the data, cannot be used.
    """
    if not location.is_in_object_store and not location.data_folder.is_dir():
        raise StorageError(
            "There is no folder for the lake's data.",
            where=str(location.data_folder),
            hint="make it where all of the machines see it under this path, or correct the address of the data",
        )
    exists = prepare_catalog(location)
    with connect(location) as connection:
        if exists:
            attach(connection, location, read_only=True)
        if location.is_in_object_store:
            with translated_shared(location):
                connection.execute(f"SELECT count(*) FROM glob({quote(location.data_path + '*')})")  # noqa: S608 - quoted
    return exists
