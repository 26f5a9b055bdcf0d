"""Every asset there is, from the factories beside this module."""

import warnings

import dagster as dg

from signalroom_dagster.defs.assets.analysis import build_analysis_assets
from signalroom_dagster.defs.assets.declared import build_declared_asset
from signalroom_dagster.defs.assets.ingest import build_ingest_assets
from signalroom_dagster.defs.assets.models import build_model_assets
from signalroom_dagster.defs.assets.reference import build_reference_assets
from signalroom_dagster.defs.assets.reports import build_report_assets
from signalroom_dagster.defs.assets.status import build_status_asset
from signalroom_dagster.registry import catalog

warnings.filterwarnings(
    "ignore", "Parameter `execution_type`", dg.BetaWarning
)  # Dagster's own, as it resolves assets


def build_assets() -> list[dg.AssetsDefinition]:
    """Sources, reference data, models, reports, the results of events, how fresh it all is, and
    what is set aside.
    """
    return [
        *map(build_ingest_assets, catalog.dlt_sources()),
        *map(build_reference_assets, catalog.reference_sources()),
        *build_model_assets(),
        *build_report_assets(),
        *build_analysis_assets(),
        build_status_asset(),
        build_declared_asset(),
    ]
