"""The cost of logging, as ratios to references in the same process: `make bench`."""
