"""Data sets: the tables of many runs as Parquet files, one for each run, all with one schema."""
