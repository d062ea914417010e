# one type for both twins: what is checked against one holds for the other
from idpbuilder.native._reference import RegionReader as RegionReader
