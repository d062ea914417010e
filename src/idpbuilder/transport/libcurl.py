"""Which libcurl this is."""

from __future__ import annotations

import pycurl


def curl_version() -> str:
    """`libcurl/8.23.0`, for `--version`."""
    return f"libcurl/{pycurl.version_info()[1]}"
