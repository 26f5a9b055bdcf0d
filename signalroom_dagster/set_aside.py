"""What of the clients' files, the settings and the SQL cannot be read: left out and told, so that
all else runs.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class SetAside:
    """One thing that is left out: what it is, what is wrong with it, and whose it is (empty: no one
    client's).
    """

    subject: str
    problem: str
    client: str = ""
