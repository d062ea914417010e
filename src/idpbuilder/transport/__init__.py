"""Moves requests out and answers in, over libcurl. The only room that knows pycurl."""

from idpbuilder.transport.curl import CurlEngine, curl_version
from idpbuilder.transport.settings import EngineSettings

__all__ = ["CurlEngine", "EngineSettings", "curl_version"]
