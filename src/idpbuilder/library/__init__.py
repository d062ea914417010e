"""Pushes from Python: what a script calls, and how its push runs beside it.

Whatever is public is a name of `idpbuilder` itself.
"""
