"""HTTP APIs that are described as data: `data/shared/sources/<name>.toml`, one file per API.

`modules` makes of a file what a source folder offers: a dlt source, its tables, its settings and a
probe; everything above takes it for a source like any other. Transport, paging and authentication
are those of dlt's own rest_api library. Never here: Dagster, clients, the loader.

https://dlthub.com/docs/dlt-ecosystem/verified-sources/rest_api/basic
"""
