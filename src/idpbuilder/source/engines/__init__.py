"""Images in the container engines of this machine: Docker's and podman's, by API or by command."""

from idpbuilder.source.engines.asked import EngineQuery
from idpbuilder.source.engines.exported import FoundImage, sources
from idpbuilder.source.engines.fetched import Access
from idpbuilder.source.engines.search import detect, find_in_engines

__all__ = ["Access", "EngineQuery", "FoundImage", "detect", "find_in_engines", "sources"]
