"""What jaxlog costs, as ratios to references in the same run: `make bench`."""
