"""Analyses the frames of runs: groups of lanes, curves, intervals, comparisons and plots."""
