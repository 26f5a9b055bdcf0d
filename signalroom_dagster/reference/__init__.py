"""Reference data: small tables whose source is a CSV file in git, brought into schema `public` as
it says.

Never here: a vendor's API. Loads and checks import it.
"""
