"""What an event is, and what a tenant (a client) requires of a job: `[analysis]` in its
client.toml.

https://jcristharif.com/msgspec/
"""

import contextlib
import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from signalroom_dagster.config import ConfigurationError
from signalroom_dagster.refused_values import refused
from signalroom_dagster.registry.clients import load_clients

Identifier = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*\Z", max_length=128)]
TypeName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=64)]


class Event(msgspec.Struct, frozen=True):
    """One analysis result of one job, as it is sent; unknown fields are ignored. `result` keeps the
    sender's bytes.
    """

    tenant_id: Identifier
    job_id: Identifier
    analysis_type: Identifier
    result: msgspec.Raw


class Contract(msgspec.Struct, frozen=True):
    """Which analysis types make a tenant's job complete, and how long after its first event it may
    wait for them.
    """

    tenant_id: str
    required: frozenset[str]
    deadline: timedelta

    @property
    def version(self) -> str:
        """Names the set of required types: kept with each job, so that a changed contract touches
        new jobs only.
        """
        return hashlib.sha256("\n".join(sorted(self.required)).encode()).hexdigest()[:12]


class AnalysisSettings(BaseModel):
    """`[analysis]` of a client.toml, as far as it concerns what arrives."""

    model_config = ConfigDict(frozen=True)

    required: tuple[TypeName, ...] = Field(min_length=1, max_length=32)
    deadline_minutes: float = Field(default=60, gt=0, le=60 * 24 * 30)


def load_contracts() -> dict[str, Contract]:
    """The contract of every client that has an `[analysis]` section that can be read, by tenant."""
    contracts: dict[str, Contract] = {}
    for client in load_clients().values():
        with contextlib.suppress(
            ConfigurationError
        ):  # which `declarations` tells of: the others' events still come in
            if client.analysis:
                contracts[client.id] = contract_of(client.id, client.analysis)
    return contracts


def contract_of(tenant_id: str, section: Mapping[str, Any]) -> Contract:
    """The contract that an `[analysis]` section stands for. Raises ConfigurationError."""
    try:
        settings = AnalysisSettings.model_validate(section)
    except ValidationError as error:
        problems = refused(error, AnalysisSettings, "[analysis] ")
        raise ConfigurationError(f"data/clients/{tenant_id}/client.toml: {problems}") from None
    return Contract(
        tenant_id, frozenset(settings.required), timedelta(minutes=settings.deadline_minutes)
    )
