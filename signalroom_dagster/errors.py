"""What a person has to mend."""


class ConfigurationError(Exception):
    """Something a person has to set or correct; never retried. Names the key, never its value."""


class WrongRequestError(ConfigurationError):
    """What a person asked for cannot be: answered where it was asked. Nothing is broken, so nobody
    is alerted.
    """
