"""What `--version` says."""

from __future__ import annotations

from idpbuilder import __version__


def version_line() -> str:
    """Name, version, whether the kernels are compiled, and libcurl's version, on one line."""
    from idpbuilder.native import COMPILED
    from idpbuilder.transport.libcurl import curl_version

    kernels = "compiled" if COMPILED else "pure"
    return f"idpbuilder-push {__version__} ({kernels}, {curl_version()})"
