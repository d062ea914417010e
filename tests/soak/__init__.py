"""Many pushes: `python -m tests.soak` is the long run."""
