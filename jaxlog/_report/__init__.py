"""Runs as one HTML file that needs nothing else: what they are, how they went and compare."""
