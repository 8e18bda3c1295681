"""After a run, or beside it: what its files say, as frames and arrays."""
