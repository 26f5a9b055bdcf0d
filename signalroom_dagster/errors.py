"""What a person has to mend."""


class ConfigurationError(Exception):
    """Something a person has to set or correct; never retried. Names the key, never its value."""
