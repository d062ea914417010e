"""The pages: true to the code, linked to each other, and fit to be typed."""
