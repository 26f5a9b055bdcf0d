"""Reads the faulty vendor with airbyte-cdk, in an interpreter that has it: prints the ids that came
and what went wrong, as JSON.
"""

import json
import logging
import sys
from typing import Any

from airbyte_cdk.models import (
    AirbyteStream,
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (
    ConcurrentDeclarativeSource,
)

PAGE = 10


def manifest(url: str, fault: str) -> dict[str, Any]:
    """What airbyte-cdk is told of the vendor."""
    retriever = {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": url,
            "path": f"/{fault}/rows",
            "http_method": "GET",
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["items"]},
        },
        "paginator": {
            "type": "DefaultPaginator",
            "page_token_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "offset",
            },
            "page_size_option": {
                "type": "RequestOption",
                "inject_into": "request_parameter",
                "field_name": "limit",
            },
            "pagination_strategy": {"type": "OffsetIncrement", "page_size": PAGE},
        },
    }
    schema = {"type": "object", "properties": {"id": {"type": "integer"}}}
    stream = {
        "type": "DeclarativeStream",
        "name": "rows",
        "primary_key": ["id"],
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
        "retriever": retriever,
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["rows"]},
        "streams": [stream],
    }


def read(url: str, fault: str) -> list[int]:
    """The ids of a full refresh. Raises what the source raises."""
    stream = AirbyteStream(
        name="rows", json_schema={}, supported_sync_modes=[SyncMode.full_refresh]
    )
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream,
                sync_mode=SyncMode.full_refresh,
                destination_sync_mode=DestinationSyncMode.overwrite,
            )
        ]
    )
    source = ConcurrentDeclarativeSource(
        catalog=catalog, config={}, state=[], source_config=manifest(url, fault)
    )
    messages = source.read(logging.getLogger("airbyte"), {}, catalog, [])
    return [message.record.data["id"] for message in messages if message.type == Type.RECORD]


if __name__ == "__main__":
    ids, error = [], ""
    try:
        ids = read(*sys.argv[1:])
    except Exception as problem:  # what it reports is what is asked for
        error = f"{type(problem).__name__}: {problem}"
    print(json.dumps({"ids": ids, "error": error}))
