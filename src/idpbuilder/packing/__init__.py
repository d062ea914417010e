"""The room where a raw layer becomes a blob.

Here belong the deterministic compression, block by block, and the spool that a blob grows in
while it is being sent.
"""
