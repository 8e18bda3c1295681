"""The functions that a user calls in a program: `batch_step`, `log`, `window_step`."""
