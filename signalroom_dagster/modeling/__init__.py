"""The engine of the SQL models: what a model reads, how it is planned, made anew and checked.

The SQL itself stands in `models/`. Never here: a vendor, a report. Reports, checks and assets
import it.
"""
