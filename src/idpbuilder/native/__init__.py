"""The kernels that touch every byte: compiled where the build could, else their plain twins.

`COMPILED` says which. Both behave the same: `_reference.py` is what the compiled ones are
tested against.
"""

try:
    from idpbuilder.native._chunker import RegionReader
    from idpbuilder.native._digest import digest_region, fingerprint_region
except ImportError:
    from idpbuilder.native._reference import RegionReader, digest_region, fingerprint_region

    COMPILED = False
else:
    COMPILED = True

__all__ = ["COMPILED", "RegionReader", "digest_region", "fingerprint_region"]
