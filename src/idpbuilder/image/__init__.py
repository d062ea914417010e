"""The data of images: digests, references, descriptors, platforms, manifests and indexes.

Pure and frozen: nothing here reads a file or knows a registry. What cannot be parsed raises
`InvalidValue`; the caller knows whether that is a user's slip or a broken image.
"""

from idpbuilder.image.digest import Digest
from idpbuilder.image.invalid import InvalidValue
from idpbuilder.image.manifest import Descriptor, Index, Manifest, parse_document
from idpbuilder.image.platform import Platform
from idpbuilder.image.reference import Reference

__all__ = [
    "Descriptor",
    "Digest",
    "Index",
    "InvalidValue",
    "Manifest",
    "Platform",
    "Reference",
    "parse_document",
]
