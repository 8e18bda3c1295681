#!/usr/bin/env bash
# DataFusion loses the rows of a row group whose smallest and largest value were not written, if other groups have them.
#
# These statistics are optional in Parquet, for each column of each row group. DuckDB leaves them out where a group
# holds a NaN, pyarrow where a text is longer than 4 KiB. DataFusion then takes the bounds of the other groups for
# those of the whole file. So with one NaN in a loss, `WHERE loss > 10 AND loss < 5000` finds none of 2047 losses,
# all finite, and `max(loss)` is below 0.5; a long text is missing from `WHERE text < 'b'`. Nothing warns.
#
# DuckDB finds the rows in the same files, and so does DataFusion with datafusion.execution.collect_statistics=false.
# datafusion.execution.parquet.pruning=false, the setting for the use of statistics in Parquet, changes nothing.
#
# Seen with DataFusion 55.0.0, DuckDB 2.0.1 and pyarrow 26.0.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile \
    "datafusion==55.0.0" "duckdb==2.0.1" "pyarrow==26.0.1"
cat > "$folder/program.py" <<'PROGRAM'
import datafusion
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

duckdb.sql(
    """COPY (SELECT CASE WHEN i = 3000 THEN 'nan'::DOUBLE WHEN i < 2048 THEN i / 4096 ELSE i END AS loss
    FROM range(4096) t(i)) TO 'loss.parquet' (ROW_GROUP_SIZE 2048)"""
)
pq.write_table(pa.table({"text": ["b", "c", "a" * 5000, "z"]}), "text.parquet", row_group_size=2)


def rows(setting):
    config = datafusion.SessionConfig()
    session = datafusion.SessionContext(config.set(setting, "false") if setting else config)
    for name in ("loss", "text"):
        session.register_parquet(name, f"{name}.parquet")
    return lambda query: list(session.sql(query).to_pylist()[0].values())


for name in ("loss", "text"):
    duckdb.sql(f"CREATE VIEW {name} AS FROM '{name}.parquet'")
engines = {"DuckDB": lambda query: list(duckdb.sql(query).fetchall()[0])}
for setting in ("", "datafusion.execution.parquet.pruning", "datafusion.execution.collect_statistics"):
    engines[f"DataFusion, {setting}=false" if setting else "DataFusion"] = rows(setting)
for engine, first in engines.items():
    largest, = first("SELECT max(loss) FROM loss")
    losses, = first("SELECT count(*) FROM loss WHERE loss > 10 AND loss < 5000")
    least, = first("SELECT left(min(text), 3) FROM text")
    texts, = first("SELECT count(*) FROM text WHERE text < 'b'")
    print(f"{engine}: {losses} losses above 10, the largest {largest:.2f}; {texts} texts before b, the first {least}")
PROGRAM
cd "$folder"
venv/bin/python program.py | tee out
diff out - <<'SEEN'
DuckDB: 2047 losses above 10, the largest nan; 1 texts before b, the first aaa
DataFusion: 0 losses above 10, the largest 0.50; 0 texts before b, the first b
DataFusion, datafusion.execution.parquet.pruning=false: 0 losses above 10, the largest 0.50; 0 texts before b, the first b
DataFusion, datafusion.execution.collect_statistics=false: 2047 losses above 10, the largest nan; 1 texts before b, the first aaa
SEEN
