"""The room for what one run remembers for the next, in one SQLite file.

Here belong the layers packed before, the places where blobs were seen, and the upload sessions
left open.
"""
