# one type for both twins: what is checked against one holds for the other
from idpbuilder.native._reference import digest_region as digest_region
from idpbuilder.native._reference import fingerprint_region as fingerprint_region
