"""Where the code of an asset stands, for the link on its page.

https://docs.dagster.io/guides/build/assets/metadata-and-tags/index#linking-assets-with-source-code
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import dagster as dg


def code_reference(file: Path, label: str) -> Mapping[str, dg.CodeReferencesMetadataValue]:
    """The metadata that links an asset to the file that says what it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # pinned by the lock, worth it
        reference = dg.LocalFileCodeReference(file_path=str(file), line_number=1, label=label)
        return {
            "dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])
        }
