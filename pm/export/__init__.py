"""Write rows for programs: what polars cannot write in a format is written as text."""

from pm.export.encode import FileFormat, encode, encoded

__all__ = ["FileFormat", "encode", "encoded"]
