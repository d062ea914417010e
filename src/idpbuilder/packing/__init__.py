"""The room where a raw layer becomes a blob.

A layer is read block by block, its blocks are compressed on all cores, and the blob grows in a
spool that can be sent while it grows. The bytes depend on the layer and the method alone: not on
threads, cores or how the layer was stored, so that a layer has one digest on every machine.

Nothing is imported here: most pushes want the name of a method, and have nothing to pack.
"""
