"""A message in, one provider's call out: one file per channel.

Never here: whom to tell what, clients, secrets in a log. Reports and alerts import it.
"""
