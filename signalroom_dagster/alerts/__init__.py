"""Incidents: one message when something breaks, summaries while it lasts, a word when it is over.

Never here: a channel's API, a vendor's words. `defs` and the commands import it.
"""
