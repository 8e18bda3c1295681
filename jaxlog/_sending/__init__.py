"""Sends what a run has logged to files on to a tracker, by the sink of that tracker."""
