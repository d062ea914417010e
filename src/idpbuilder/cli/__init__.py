"""The command line: what a user types, what comes back on stdout and stderr, and the exit code."""
