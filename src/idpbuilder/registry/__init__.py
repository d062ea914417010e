"""The push protocol without I/O: machines that say what to send next and learn from the answers."""
