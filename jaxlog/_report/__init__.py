"""The report: runs as one HTML file, with their summaries, curves and comparison."""
