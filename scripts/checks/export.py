"""Runs the SQL blocks of a page on feedback.csv, and compares feedback.parquet with it.

usage: export.py PAGE
"""

import re
import sys

import duckdb

with open(sys.argv[1], encoding="utf-8") as file:
    blocks = re.findall(r"^```sql\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
if not blocks:
    sys.exit(f"{sys.argv[1]}: there is no SQL block")
for block in blocks:
    duckdb.sql(block)

rows = duckdb.sql("SELECT count(*) FROM read_csv('feedback.csv')").fetchall()[0][0]
if rows == 0:
    sys.exit("the demo has no submissions")
parquet = duckdb.sql("FROM 'feedback.parquet'")
types = dict(zip(parquet.columns, (str(kind) for kind in parquet.types)))
written = len(parquet.fetchall())
if written != rows:
    sys.exit(f"feedback.parquet has {written} rows, and feedback.csv {rows}")
expected = {"call": "VARCHAR", "rating": ("BIGINT", "DOUBLE"), "accepted_at": "TIMESTAMP WITH TIME ZONE"}
for column, kind in expected.items():
    if types.get(column) not in (kind if isinstance(kind, tuple) else (kind,)):
        sys.exit(f"the column {column} has the type {types.get(column)}, expected {kind}")
if not any(column.startswith("answer_") for column in types):
    sys.exit(f"there is no column of an answer: {', '.join(types)}")
print(f"{rows} submissions in {len(types)} columns are Parquet")
