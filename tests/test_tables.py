"""Tables are read or refused in one sentence, and what is written reads back."""

from __future__ import annotations

import decimal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mixtura import io, reading, scan, tables
from refusing import names_in, refused

finite = st.floats(allow_nan=False, allow_infinity=False)


# Reading ------------------------------------------------------------------------------------------

FRAME = pd.DataFrame(
    {
        "b": [0.5, -1.25, 1e300],
        "kind": ["x", "y", "z"],
        "count": [1, 2, 3],
        "yes": [True, False, True],
        "day": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]),
    }
)
NUMBERS = np.array([[0.5, 1, 1], [-1.25, 2, 0], [1e300, 3, 1]])


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    table = pa.Table.from_pandas(frame)
    if path.suffix in (".csv", ".tsv"):
        frame.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".feather", ".arrow", ".CSV"])
def test_numeric_columns_of_every_format(tmp_path: Path, ending: str) -> None:
    path = write_frame(FRAME, tmp_path / f"t{ending.lower()}").rename(tmp_path / f"t{ending}")
    table = reading.read_table(path)
    assert table.names == ("b", "count", "yes")
    assert table.x.dtype == np.float64
    assert table.x.flags.c_contiguous
    assert table.weight is None
    np.testing.assert_array_equal(table.x, NUMBERS)

    chosen = reading.read_table(str(path), ["yes", "b"], weight="count")
    assert chosen.names == ("yes", "b")
    np.testing.assert_array_equal(chosen.x, NUMBERS[:, [2, 0]])
    np.testing.assert_array_equal(chosen.weight, [1, 2, 3])

    rest = reading.read_table(path, weight="count")
    assert rest.names == ("b", "yes")


def test_nulls_become_nan(tmp_path: Path) -> None:
    path = io.write_whole(tmp_path / "t.csv", "a,b,c\n1,,true\n,2.5,\nNA,nan,false\n")
    expected = [[1, np.nan, 1], [np.nan, 2.5, np.nan], [np.nan, np.nan, 0]]
    np.testing.assert_array_equal(reading.read_table(path).x, expected)


def test_gaps_are_counted(tmp_path: Path) -> None:
    path = io.write_whole(tmp_path / "t.csv", "a,b,w\n1,,1\n,2.5,2\n3,4,3\n")
    assert reading.read_table(path).n_missing == 2
    assert reading.read_table(path, ["a", "b"], weight="w").n_missing == 2
    assert reading.read_table(path, ["w"]).n_missing == 0


@pytest.mark.parametrize(
    "word", ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", " NA", "NA ", '""', '"NA"']
)
def test_what_stands_for_a_missing_value(tmp_path: Path, word: str) -> None:
    path = io.write_whole(tmp_path / "t.csv", f"a,b,kind\n1,{word},x\n2, 3.5,\n4,5,{word}\n")
    table = reading.read_table(path)
    assert table.names == ("a", "b")
    np.testing.assert_array_equal(table.x, [[1, np.nan], [2, 3.5], [4, 5]])


@pytest.mark.parametrize("word", [".", "?", "-", "missing", "1,5", "2020-01-01"])
def test_a_column_with_other_words_is_text(tmp_path: Path, word: str) -> None:
    path = io.write_whole(tmp_path / "t.csv", f'a,b\n1,"{word}"\n2,NA\n3,\n')
    assert reading.read_table(path).names == ("a",)


def test_a_column_may_begin_with_gaps(tmp_path: Path) -> None:
    # The reader of CSV works in blocks of about a megabyte: the first number is not in the first.
    lines = ["a,b"] + ["1,NA"] * 400_000
    path = io.write_whole(tmp_path / "t.csv", "\n".join([*lines, "2,0.5\n"]))
    table = reading.read_table(path)
    assert table.names == ("a", "b")
    assert (table.n_missing, table.x[-1, 1]) == (400_000, 0.5)
    path = io.write_whole(tmp_path / "t.csv", "\n".join([*lines, "2,oops\n"]))
    assert reading.read_table(path).names == ("a",)


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".csv", ".npy"])
def test_gaps_of_every_format(tmp_path: Path, ending: str) -> None:
    values = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0]])
    path = tmp_path / f"t{ending}"
    if ending == ".npy":
        np.save(path, values)
    else:
        write_frame(pd.DataFrame(values, columns=["a", "b"]).astype("Int64"), path)
    np.testing.assert_array_equal(reading.read_table(path).x, values)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, None, 3], pa.int64()),
        pa.array([1, None, 3], pa.uint8()),
        pa.array(np.array([1, 0, 3], np.float16), mask=np.array([False, True, False])),
        pa.array([1, None, 3], pa.float32()),
        pa.array([decimal.Decimal(1), None, decimal.Decimal(3)]),
    ],
    ids=lambda column: str(column.type),
)
def test_every_kind_of_number_is_promoted(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"a": column}), path)
    np.testing.assert_array_equal(reading.read_table(path).x, [[1.0], [np.nan], [3.0]])


def test_whole_numbers_may_turn_out_not_to_be(tmp_path: Path) -> None:
    # The reader of CSV works in blocks of about a megabyte: the last line is not in the first.
    lines = ["a"] + ["1"] * 1_000_000
    path = io.write_whole(tmp_path / "t.csv", "\n".join([*lines, "0.5\n"]))
    assert reading.read_table(path).x[-1, 0] == 0.5
    path = io.write_whole(tmp_path / "t.csv", "\n".join([*lines, "oops\n"]))
    assert "'a' (string)" in refused(reading.read_table, path)


def test_names_with_dots_and_spaces(tmp_path: Path) -> None:
    frame = pd.DataFrame({"Sepal.Length": [1.0], "a b": [2.0], "c,d": [3.0], "größe": [4.0]})
    for ending in (".csv", ".parquet", ".feather"):
        path = write_frame(frame, tmp_path / f"t{ending}")
        assert reading.read_table(path).names == tuple(frame.columns)
        chosen = reading.read_table(path, ["c,d", "Sepal.Length"])
        np.testing.assert_array_equal(chosen.x, [[3.0, 1.0]])


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_semicolons_may_separate_values(tmp_path: Path, decimal: str, encoding: str) -> None:
    frame = FRAME.assign(kind="a,b", Länge=[1.5, np.nan, 2.0])
    frame.to_csv(tmp_path / "t.csv", sep=";", decimal=decimal, index=False, encoding=encoding)
    table = reading.read_table(tmp_path / "t.csv")
    assert table.names == ("b", "count", "yes", "Länge")
    np.testing.assert_array_equal(table.x, np.column_stack([NUMBERS, frame["Länge"]]))
    batches = [batch.x for batch in scan(str(tmp_path / "t.csv"), batch_rows=2)]
    np.testing.assert_array_equal(np.concatenate(batches), table.x)


def test_semicolons_in_names_and_values_do_not_separate(tmp_path: Path) -> None:
    path = io.write_whole(tmp_path / "t.csv", '"a;b",c;d,note\n1.5,2,"1,5;x"\n')
    assert reading.read_table(path).names == ("a;b", "c;d")
    path = io.write_whole(tmp_path / "quoted.csv", '"a,b";"c"\n1,5;2\n')
    table = reading.read_table(path)
    assert (table.names, table.x.tolist()) == (("a,b", "c"), [[1.5, 2.0]])


def test_row_numbers_are_no_feature(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5, 3.5]}).iloc[[2, 0]]
    frame.to_csv(tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "t.parquet")
    for ending in (".csv", ".parquet"):
        assert reading.read_table(tmp_path / f"t{ending}").names == ("a",)


def test_the_first_line_must_be_names(tmp_path: Path) -> None:
    path = io.write_whole(tmp_path / "t.csv", "3.6,79\n1.8,54\n")
    assert "must name the columns, but holds 3.6, 79" in refused(reading.read_table, path)
    # What pandas calls columns that have no names.
    pd.DataFrame(NUMBERS).to_csv(path, index=False)
    assert reading.read_table(path).names == ("0", "1", "2")


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "u1", "?", ">f8", "g"])
def test_npy_of_any_real_dtype(tmp_path: Path, dtype: str) -> None:
    array = np.array([[0, 1], [1, 0], [1, 1]]).astype(dtype)
    np.save(tmp_path / "t.npy", array)
    table = reading.read_table(tmp_path / "t.npy")
    assert table.names == ("x0", "x1")
    assert table.x.dtype == np.dtype("=f8")
    np.testing.assert_array_equal(table.x, array)
    chosen = reading.read_table(tmp_path / "t.npy", ["x1"], weight="x0")
    np.testing.assert_array_equal(chosen.x, array[:, [1]])
    np.testing.assert_array_equal(chosen.weight, array[:, 0])


def test_npy_of_one_dimension_is_one_feature(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.arange(3.0))
    np.testing.assert_array_equal(reading.read_table(tmp_path / "t.npy").x, [[0], [1], [2]])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2, 2)),
        np.array(1.0),
        np.zeros((3, 0)),
        np.zeros(3, complex),
        np.array(["a"]),
        np.zeros(3, [("a", float)]),
        np.array([1.0, None], dtype=object),
    ],
    ids=lambda array: f"{array.shape}-{array.dtype}",
)
def test_npy_that_is_no_table(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "t.npy", array)
    assert str(tmp_path / "t.npy") in refused(reading.read_table, tmp_path / "t.npy")


def test_npy_without_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.zeros((0, 2)))
    assert "no rows" in refused(reading.read_table, tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a table: Empty CSV file"),
        ("\n\n", "is not a table: "),
        ("a,b\n", "has no numeric columns to use, but 'a' (no values), 'b' (no values)"),
        ("a|b\n1|2\n", "has no numeric columns to use, but 'a|b' (string)"),
        ("day\n2020-01-01\n", "'day' (date32[day])"),
        ("a,b\n1,2\n3\n", "line 3 has 1 values, but the lines before have 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 values, but the lines before have 2"),
        ("a,b,a\n1,2,3\n", "two columns called 'a'"),
        ('{"a": 1}\n', "has no numeric columns to use"),
        ("1,2\n3,4\n5,6\n", "must name the columns, but holds 1, 2"),
    ],
)
def test_text_that_is_no_table(tmp_path: Path, text: str, words: str) -> None:
    path = io.write_whole(tmp_path / "t.csv", text)
    assert words in refused(reading.read_table, path)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".feather", ".arrow", ".npy"])
@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\x00\x00", b"\xff\xfea\x00,\x00\n\x00"])
def test_bytes_that_are_no_table(tmp_path: Path, ending: str, content: bytes) -> None:
    path = io.write_whole(tmp_path / f"t{ending}", content)
    assert refused(reading.read_table, path).startswith(str(path))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert "no such file" in refused(reading.read_table, tmp_path / "absent.csv")
    assert "is a folder" in refused(reading.read_table, tmp_path)
    path = io.write_whole(tmp_path / "t.xlsx", "a\n1\n")
    assert "must end in one of .csv, .tsv, .parquet" in refused(reading.read_table, path)
    path = io.write_whole(tmp_path / "t", "a\n1\n")
    assert "got no ending" in refused(reading.read_table, path)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    np.save(tmp_path / "t.npy", NUMBERS)
    monkeypatch.setattr(np, "load", denied)
    assert "permission denied" in refused(reading.read_table, tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("columns", "weight", "words"),
    [
        (
            ["b", "nope", "nada"],
            None,
            "no column 'nope', 'nada': it has b, kind, count, yes, day",
        ),
        (["b"], "nope", "has no column 'nope'"),
        (["kind"], None, "'kind' of {path} holds string, not numbers"),
        (["b"], "kind", "'kind' of {path} holds string, not numbers"),
        (["b", "b"], None, "'b' is named twice"),
        ([], None, "at least one column"),
    ],
)
def test_columns_that_cannot_be_used(tmp_path: Path, columns: list[str], weight: str | None, words: str) -> None:
    path = write_frame(FRAME, tmp_path / "t.csv")
    assert words.format(path=path) in refused(reading.read_table, path, columns, weight)


def test_long_lists_of_columns_are_cut(tmp_path: Path) -> None:
    frame = pd.DataFrame({f"c{j}": [1.0] for j in range(100)})
    path = write_frame(frame, tmp_path / "t.csv")
    assert "c19 and 80 more" in refused(reading.read_table, path, ["nope"])


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".feather"])
def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    path = write_frame(FRAME, tmp_path / f"t{ending}")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'pip install "mixtura\[cli\]"'):
        reading.read_table(path)


# Writing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet"])
@given(numbers=st.lists(finite, min_size=1, max_size=20))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_tables_read_back_bit_for_bit(tmp_path: Path, ending: str, numbers: list[float]) -> None:
    columns = {"label": np.arange(len(numbers)), "value, or so": np.array(numbers)}
    path = tables.write_table(tmp_path / f"t{ending}", columns)
    table = reading.read_table(path)
    assert table.names == tuple(columns)
    assert table.x[:, 1].tobytes() == columns["value, or so"].tobytes()
    np.testing.assert_array_equal(table.x[:, 0], columns["label"])
    assert names_in(tmp_path) == [path.name]


def test_tables_longer_than_a_block(tmp_path: Path) -> None:
    values = np.arange(2 * tables.CSV_ROWS + 1) / 3
    table = reading.read_table(tables.write_table(tmp_path / "t.csv", {"a": values}))
    np.testing.assert_array_equal(table.x[:, 0], values)


def test_text_is_plain(tmp_path: Path) -> None:
    columns = {"label": np.array([0, 1]), "p": np.array([0.1, -np.inf], dtype=np.float64)}
    path = tables.write_table(tmp_path / "t.csv", columns)
    assert path.read_bytes() == b"label,p\n0,0.1\n1,-inf\n"


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    columns = {"a": np.zeros(3)}
    for name in ("t.json", "t", "t.npy"):
        assert "must end in one of .csv, .tsv, .parquet" in refused(tables.write_table, tmp_path / name, columns)
    uneven = {"a": np.zeros(3), "b": np.zeros(2)}
    for name in ("t.csv", "t.parquet"):
        refused(tables.write_table, tmp_path / name, uneven)
    assert names_in(tmp_path) == []
