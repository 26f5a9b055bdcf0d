"""How far each source's data reach, and how old they are: read from ledgers and windows alone.

Never here: loading, alerts. Checks, reports, the CLI and status import it.
"""
