"""Stand-in vendors, channels and an S3 with invented data that fits together, for the demo and the
tests.

Production never imports it; the command does so for `--demo` alone.
"""
