"""Data sets: the tables of many runs as Parquet files of many runs each, all with one schema."""
