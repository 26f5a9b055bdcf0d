"""What a check of the warehouse saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw: whether it holds, one sentence, and the figures behind it."""

    passed: bool
    said: str
    figures: Mapping[str, int | str] = field(default_factory=dict[str, int | str])
