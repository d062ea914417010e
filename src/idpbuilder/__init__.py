"""Push container images to any OCI registry."""

__version__ = "0.1.0"
