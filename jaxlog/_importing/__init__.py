"""Brings the files of other trackers in as runs: W&B's offline files, TensorBoard's, and CSV."""
