"""What is here to push with, and what a registry answers: found by the ways that a push takes, and
told as findings.
"""
