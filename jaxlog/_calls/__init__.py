"""The functions that log from a program: `batch_step`, `log`, `window_step` and `log_window`."""
