"""What a client's configuration says about its reference data."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict

from signalroom_dagster.config import ClientOnly


class Settings(BaseModel):
    """`[sources.affiliate_mapping.clients.<id>]`. `csv_path` is relative to the project's folder.

    A file without rows is taken for a mistake while the client has rows in its table, and so is a
    column without a cell that was there before, unless `allow_empty` is set.
    """

    model_config = ConfigDict(frozen=True)

    csv_path: Annotated[str | None, ClientOnly()] = None
    allow_empty: Annotated[bool, ClientOnly()] = False
