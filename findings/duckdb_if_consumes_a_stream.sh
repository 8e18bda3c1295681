#!/usr/bin/env bash
# In DuckDB for Python, `if relation:` runs the query, and so uses up the Arrow stream that it reads.
#
# A relation has `__len__`, which Python asks for its truth. `query` is typed as returning a relation or None, so that a
# type checker asks for such a condition. Afterwards the rows cannot be fetched: the stream has been read.
#
# Seen with DuckDB 2.0.1 and pyarrow 26.0.1.
set -euo pipefail
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "duckdb==2.0.1" "pyarrow==26.0.1"
cat > "$folder/program.py" <<'PYTHON'
import duckdb
import pyarrow as pa

batch = pa.RecordBatch.from_pydict({"seed": [0, 1, 1], "loss": [0.5, 0.25, 0.75]})


def query():
    stream = pa.RecordBatchReader.from_batches(batch.schema, [batch])
    return duckdb.from_arrow(stream).query("rows", "SELECT seed, avg(loss) FROM rows GROUP BY seed ORDER BY seed")


print("without a condition:", query().fetchall())
relation = query()
if relation:
    try:
        rows = relation.fetchall()
    except duckdb.Error as error:
        print("after `if relation:`:", type(error).__name__, str(error)[:90])
    else:
        raise SystemExit(f"after `if relation:` too: {rows}")
PYTHON
echo "expected: the same rows with and without a condition"
"$folder/venv/bin/python" "$folder/program.py"
