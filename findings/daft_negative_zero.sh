#!/usr/bin/env bash
# For Daft, -0.0 is below 0.0: a filter by zero misses the rewards that are `-cost` with a cost of zero.
#
# NumPy, JAX, pyarrow, polars and DuckDB follow IEEE 754, where both zeros are equal. A reward that is computed as
# `-cost` or `-x * y` is often -0.0, and is printed as zero by most tools. Of the five rewards here, four are zero and
# one is negative. Daft finds one zero, four negative rewards and one reward that is not negative.
#
# In the file that DuckDB wrote of the same table, Daft finds no zero at all. DuckDB gives -0.0 for the largest value
# of its row group, so Daft leaves the group out. Parquet says that a reader must expect 0.0 there, too.
#
# Seen with Daft 0.7.26, DuckDB 2.0.1, polars 2.1.0 and pyarrow 25.0.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "daft==0.7.26" "duckdb==2.0.1" "polars==2.1.0" "pyarrow==25.0.1" "numpy<3"
cat > "$folder/program.py" <<'PROGRAM'
import daft
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

cost = np.array([0.0, 0.0, 0.0, 0.0, 1.5])
rewards = pa.table({"reward": np.where(np.arange(5) == 3, cost, -cost)})
pq.write_table(rewards, "pyarrow.parquet")
duckdb.sql("COPY (FROM rewards) TO 'duckdb.parquet'")
largest = pq.read_metadata("duckdb.parquet").row_group(0).column(0).statistics.max
print(f"the largest value of the file of DuckDB, by its statistics: {largest}")


def counts(column, count):
    return [count(condition) for condition in (column == 0, column < 0, column >= 0)]


print("zero, negative, not negative")
print("NumPy", counts(rewards["reward"].to_numpy(), lambda where: int(where.sum())))
for path in ("pyarrow.parquet", "duckdb.parquet"):
    table, frame = pq.read_table(path), daft.read_parquet(path)
    print(path, "by polars", counts(pl.col("reward"), lambda where: pl.scan_parquet(path).filter(where).collect().height))
    print(path, "by pyarrow", counts(pa.compute.field("reward"), lambda where: table.filter(where).num_rows))
    print(path, "by Daft", counts(daft.col("reward"), lambda where: frame.where(where).count_rows()))
PROGRAM
cd "$folder"
venv/bin/python program.py 2> errors | tee out
diff out - <<'SEEN'
the largest value of the file of DuckDB, by its statistics: -0.0
zero, negative, not negative
NumPy [4, 1, 4]
pyarrow.parquet by polars [4, 1, 4]
pyarrow.parquet by pyarrow [4, 1, 4]
pyarrow.parquet by Daft [1, 4, 1]
duckdb.parquet by polars [4, 1, 4]
duckdb.parquet by pyarrow [4, 1, 4]
duckdb.parquet by Daft [0, 4, 0]
SEEN
