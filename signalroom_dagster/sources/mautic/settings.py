"""What a client's configuration says about its Mautic, and about what its contacts may bring
along.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from signalroom_dagster.addresses import Address
from signalroom_dagster.config import ClientOnly

Policy = Literal["keep", "hash", "drop"]

OTHERS = "*"
"""The name that stands for every contact field without a policy of its own."""

PERSONAL_FIELDS = (
    "firstname",
    "lastname",
    "phone",
    "mobile",
    "fax",
    "address1",
    "address2",
    "zipcode",
    "website",
    "facebook",
    "foursquare",
    "instagram",
    "linkedin",
    "skype",
    "twitter",
)
"""Mautic's own fields that name or reach a person: dropped unless the configuration says otherwise.
"""


class Settings(BaseModel):
    """`[sources.mautic.clients.<id>]`. `fields` adds to the default policy of contact fields, by
    their alias.

    By default whatever names or reaches a person is dropped, `email` is hashed where the client has
    a `hash_key` and dropped where it has none, and other fields are kept; `"*"` says what becomes
    of those. Contacts are read whole every `sweep_every_days`, e-mail statistics every
    `sweep_stats_every_days` (0: each time), and those of e-mails sent in the last `lookback_days`
    each time.
    """

    model_config = ConfigDict(frozen=True, validate_default=True)

    base_url: Annotated[Address, ClientOnly()] = Field(min_length=1)
    client_id: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    client_secret: Annotated[SecretStr, ClientOnly()] = Field(min_length=1)
    fields: dict[str, Policy] = {}
    hash_key: Annotated[SecretStr | None, ClientOnly()] = None
    lookback_days: int = Field(default=14, ge=1)
    overlap_minutes: int = Field(default=10, ge=1)
    sweep_every_days: int = Field(default=7, ge=0)
    sweep_stats_every_days: int = Field(default=30, ge=0)
    page_size: int = Field(default=200, ge=1, le=500)
    stats_page_size: int = Field(default=500, ge=1, le=1000)
    requests_per_minute: int = Field(default=120, ge=1)
    requests_at_once: int = Field(default=1, ge=1)

    @field_validator("fields")
    @classmethod
    def _by_alias(cls, value: dict[str, Policy]) -> dict[str, Policy]:
        return {name.strip().lower(): policy for name, policy in value.items()}

    @field_validator("hash_key")
    @classmethod
    def _given_for_hashes(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if not value and "hash" in info.data.get("fields", {}).values():
            raise PydanticCustomError("missing", "a field's policy is hash")
        return value


def policies_of(fields: Mapping[str, Policy], *, is_keyed: bool) -> Mapping[str, Policy]:
    """What becomes of each contact field, `OTHERS` included; without a key nothing is hashed unless
    `fields` say so.
    """
    own: dict[str, Policy] = {
        **dict.fromkeys(PERSONAL_FIELDS, "drop"),
        "email": "hash" if is_keyed else "drop",
    }
    return {
        OTHERS: "keep",
        **own,
        **{name.strip().lower(): policy for name, policy in fields.items()},
    }
