"""What `dg scaffold defs ...` writes: a project's own assets and components, beside SignalRoom's in
one Definitions.

Nothing of SignalRoom's own stands here.
"""
