"""What a user scaffolds with `dg`: it appears beside ours.

https://docs.dagster.io/guides/build/projects-and-components
"""

from pathlib import Path

import dagster as dg

from signalroom_dagster.defs import scaffolded


def with_scaffolded(ours: dg.Definitions) -> dg.Definitions:
    """Ours, merged with what stands in `defs/scaffolded`; looked for only where something does,
    because Dagster then imports every library that has components.
    """
    folder = Path(scaffolded.__path__[0])
    if all(child.name.startswith("_") for child in folder.iterdir()):
        return ours
    return dg.Definitions.merge(ours, dg.load_from_defs_folder(path_within_project=folder))
