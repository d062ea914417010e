"""Pushes to real registries, read back with other people's tools."""
