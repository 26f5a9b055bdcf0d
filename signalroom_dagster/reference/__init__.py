"""Reference data: small tables of schema `public` whose source is a CSV file in git.

Never here: a vendor's API. Loads and checks import it.
"""
