"""Fixtures that tests in several folders share: import them in the folder's `conftest.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts.certificates import Certificates, SigningKey, make_certificates
from tests.parts.memory_registry import MemoryRegistry
from tests.parts.programs import need
from tests.parts.token_service import TokenService

USERS = {"pusher": "correct-horse"}


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA, and certificates good and bad."""
    need("openssl")
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def signing_key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    """With which a token service signs what Distribution accepts."""
    need("openssl")
    return SigningKey.make(tmp_path_factory.mktemp("signing"))


@pytest.fixture
def registry() -> Iterator[MemoryRegistry]:
    """A registry in memory, well behaved and open to all."""
    with MemoryRegistry() as running:
        yield running


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    """A token service with opaque tokens, for a registry in memory."""
    with TokenService(USERS) as running:
        yield running
