"""Who we are to a registry: from flags and variables, else from a store on this machine.

Files are read when a destination is settled, so that a slip of the user's shows before anything is
sent; helper programs run, and warnings are given, when a registry asks for credentials. A new place
of a file is one more line in `places`.
"""

from __future__ import annotations

from idpbuilder.credentials.lookup import Lookup
from idpbuilder.credentials.stores import CredentialStores, Given
from idpbuilder.credentials.surroundings import Surroundings
from idpbuilder.registry.credentials import Credentials

__all__ = ["CredentialStores", "Credentials", "Given", "Lookup", "Surroundings"]
