"""How a file is to be read, where that is not told by the file."""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from common.config import StrictModel

Kind = Literal["auto", "csv", "parquet", "excel"]


def _known(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"{name!r} is no encoding; write one such as gb18030 or utf-16") from None


class FileOptions(StrictModel):
    """What a dataset or a source says of its files."""

    format: Kind = Field(default="auto", description="csv, parquet, excel, or auto: told by the file's first bytes.")
    encoding: Annotated[str, AfterValidator(_known)] | None = Field(
        default=None, description="Of a CSV: utf-8, gb18030, utf-16 ...; told by its bytes when absent."
    )
    separator: str = Field(
        default=",", pattern=r"^[,;|\t\x01]$", description="What stands between the values of a CSV; Hive's is \\u0001."
    )
    skip_rows: int = Field(default=0, ge=0, description="Lines above the header that are none of it, such as a title.")
    sheet: str | None = Field(default=None, description="Of a workbook: the sheet; its only one when absent.")


DEFAULT = FileOptions()
