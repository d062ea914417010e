"""The parts, tested with what they offer to others."""

from tests.parts.fixtures import certificates, registry, signing_key, tokens

__all__ = ["certificates", "registry", "signing_key", "tokens"]
