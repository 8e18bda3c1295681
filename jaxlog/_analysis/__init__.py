"""From the frames of runs to groups of lanes, curves, intervals, comparisons and plots."""
