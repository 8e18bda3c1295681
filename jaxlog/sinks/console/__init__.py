"""The sink `console`: a live table in a terminal or a notebook, plain lines everywhere else."""
