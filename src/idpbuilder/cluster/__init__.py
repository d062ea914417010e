"""A list of images, pushed by the workers of a Dask cluster: each has a share, and one plan for it.

`run` is where it is shared out and gathered, `share` what travels and what a worker does with it.
"""
