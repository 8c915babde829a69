"""Checksums of data files: written by build, compared before each run."""

import pytest
from toy_benchmarks import write_benchmark

from collidekit.benchmark.checksums import sha256, verify, with_checksums
from collidekit.benchmark.definition import load_benchmark
from collidekit.benchmark.rows import sample_keys
from collidekit.errors import CollidekitError


def test_a_changed_file_is_named(tmp_path):
    benchmark = write_benchmark(tmp_path)
    verify(benchmark)
    truth = tmp_path / "truth" / "truth.parquet"
    content = bytearray(truth.read_bytes())
    content[len(content) // 2] ^= 1
    truth.write_bytes(content)
    with pytest.raises(CollidekitError, match=r"truth.parquet: was changed or is damaged"):
        verify(benchmark)


def test_a_missing_file_and_a_missing_checksum_are_named(tmp_path):
    benchmark = write_benchmark(tmp_path)
    (tmp_path / "features.parquet").unlink()
    with pytest.raises(
        CollidekitError, match=r"features.parquet: is missing; make it with: collidekit benchmark build"
    ):
        verify(benchmark)
    write_benchmark(tmp_path)
    text = (tmp_path / "benchmark.yaml").read_text()
    (tmp_path / "benchmark.yaml").write_text(
        text.replace(benchmark.phases["public"].samples["nominal"].truth.sha256, '""')
    )
    with pytest.raises(CollidekitError, match=r"truth/truth.parquet has no sha256"):
        verify(load_benchmark(tmp_path))


TEXT = """\
# a comment that stays
training: [train.parquet, {path: more.parquet}]
phases:
  public:
    samples:
      nominal:
        features: f.parquet   # short
        truth: {path: "t.parquet", sha256: OLD}
        public:
          - path: p.pkl
      other:
        features:
          path: g.parquet
        truth:
          path: u.parquet
          sha256: OLD
"""


def test_checksums_are_written_in_every_style_and_all_else_stays():
    names = ["train.parquet", "more.parquet", "f.parquet", "t.parquet", "p.pkl", "g.parquet", "u.parquet"]
    given = {name: f"{number}" * 64 for number, name in enumerate(names, 1)}
    found = with_checksums(TEXT, given)
    assert (
        found
        == f"""\
# a comment that stays
training: [{{path: train.parquet, sha256: {"1" * 64}}}, {{path: more.parquet, sha256: {"2" * 64}}}]
phases:
  public:
    samples:
      nominal:
        features: {{path: f.parquet, sha256: {"3" * 64}}}   # short
        truth: {{path: "t.parquet", sha256: {"4" * 64}}}
        public:
          - path: p.pkl
            sha256: {"5" * 64}
      other:
        features:
          path: g.parquet
          sha256: {"6" * 64}
        truth:
          path: u.parquet
          sha256: {"7" * 64}
"""
    )
    assert with_checksums(found, given) == found


def test_sha256_is_that_of_the_system(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_keys_are_integers_that_stand_once_in_features_and_truth(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    benchmark = write_benchmark(tmp_path, rows=5)
    sample = benchmark.phases["public"].samples["nominal"]
    assert sample_keys(benchmark, sample).tolist() == [0, 1, 2, 3, 4]
    for keys, said in (
        ([0, 1, 2, 3, 3], "has 3 2 times"),
        ([0, 1, 2, 3, 7], "has no row with row 4"),
        ([0.0, 1, 2, 3, 4], "integers are needed"),
        ([0, 1, 2, 3, None], "1 missing values"),
        ([], "has no rows"),
    ):
        pq.write_table(
            pa.table({"row": keys if keys else pa.array([], pa.int64())}), tmp_path / "truth" / "truth.parquet"
        )
        with pytest.raises(CollidekitError, match=said):
            sample_keys(benchmark, sample)
    pq.write_table(pa.table({"number": [1]}), tmp_path / "truth" / "truth.parquet")
    with pytest.raises(CollidekitError, match="has no column 'row'"):
        sample_keys(benchmark, sample)
