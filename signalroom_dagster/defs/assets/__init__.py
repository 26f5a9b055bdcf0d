"""The assets: one module for each kind, and what they share when they are built."""
