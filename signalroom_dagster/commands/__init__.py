"""The commands of `signalroom`: each reads arguments, calls one room below, and prints.

Never here: logic of its own. Only `cli` imports it.
"""
