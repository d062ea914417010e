"""Moves requests out and answers in, over libcurl. The only room that knows pycurl.

Nothing is imported here: `--version` wants libcurl's version and none of the rest.
"""
