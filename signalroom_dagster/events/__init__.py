"""The gateway for push events: who may send, what is taken, and the stores that keep it until it is
analysed.

Never here: Dagster, the warehouse. Analysis and the commands import it.
"""
