"""One folder per source: what to ask a vendor, how to page, what a row is, what is wrong with it.

Never here: Dagster, clients, the loader, another source. Loads open a source by its folder's name.
"""
