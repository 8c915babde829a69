"""The folder of a submission: what is read, what is refused, what its hash depends on."""

import os

import pytest
from toy_benchmarks import write_benchmark, write_submission

from collidekit.benchmark.submission import code_hash, load_submission
from collidekit.errors import CollidekitError


@pytest.fixture
def benchmark(tmp_path):
    return write_benchmark(
        tmp_path / "benchmark",
        rows=10,
        parameters=[{"name": "depth", "type": "int", "default": 4}, {"name": "weights", "type": "file"}],
    )


def test_commands_and_parameters_are_read(tmp_path, benchmark):
    folder = write_submission(
        tmp_path / "s", preprocess="make", image="docker.io/me/tagger:1.0", parameters={"depth": 3}
    )
    found = load_submission(folder, benchmark)
    assert found.steps() == [
        ("preprocess", "make", "docker.io/me/tagger:1.0"),
        ("tagger", "python3 tagger.py", "docker.io/me/tagger:1.0"),
    ]
    assert found.parameters == {"depth": 3}
    assert load_submission(folder, benchmark, {"depth": 5}).parameters == {"depth": 5}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tagger": ""}, "'tagger' is required"),
        ({"tager": "x"}, r"tager: unknown key \(did you mean 'tagger'"),
        ({"tagger": "a\nb"}, "a command is one line"),
        ({"image": "--privileged"}, "image"),
        ({"image": "a b"}, "image"),
        ({"name": ""}, "name"),
        ({"parameters": {"depht": 1}}, r"no parameter 'depht' \(did you mean 'depth'"),
        ({"parameters": {"depth": "x"}}, "a whole number is needed"),
        ({"parameters": {"weights": "mydata/w.bin"}}, "there is no file 'mydata/w.bin' in the submission"),
        ({"parameters": {"weights": "../benchmark/truth/truth.parquet"}}, "is not a path inside"),
    ],
)
def test_a_fault_is_one_sentence(changed, said, tmp_path, benchmark):
    folder = write_submission(tmp_path / "s", **changed)
    with pytest.raises(CollidekitError, match=said) as error:
        load_submission(folder, benchmark)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_submission_says_how_to_make_one(tmp_path, benchmark):
    with pytest.raises(CollidekitError, match="there is no such folder; make a submission with"):
        load_submission(tmp_path / "no", benchmark)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CollidekitError, match=r"has no file submission.yaml"):
        load_submission(tmp_path / "empty", benchmark)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "submission.yaml").symlink_to(write_submission(tmp_path / "s") / "submission.yaml")
    with pytest.raises(CollidekitError, match=r"has no file submission.yaml"):
        load_submission(tmp_path / "linked", benchmark)


def test_steps_that_the_benchmark_does_not_have_are_refused(tmp_path):
    without = write_benchmark(tmp_path / "a", rows=10, steps=[{"name": "tagger"}])
    with pytest.raises(CollidekitError, match="has no pre-processing; leave 'preprocess' out"):
        load_submission(write_submission(tmp_path / "s", preprocess="x"), without)
    needed = write_benchmark(tmp_path / "b", rows=10, steps=[{"name": "preprocess"}, {"name": "tagger"}])
    with pytest.raises(CollidekitError, match="needs 'preprocess'"):
        load_submission(write_submission(tmp_path / "t"), needed)


@pytest.mark.parametrize("kind", ["link to a file outside", "link to a folder outside", "pipe"])
def test_links_out_of_the_folder_and_pipes_are_refused(kind, tmp_path, benchmark):
    folder = write_submission(tmp_path / "s")
    if kind == "pipe":
        os.mkfifo(folder / "odd")
    else:
        (folder / "odd").symlink_to(benchmark.folder / ("truth" if "folder" in kind else "truth/truth.parquet"))
    with pytest.raises(CollidekitError, match=r"odd leads out of the submission|odd is a device, pipe or socket"):
        load_submission(folder, benchmark)


def test_the_hash_is_of_names_contents_and_modes(tmp_path):
    folder = write_submission(tmp_path / "s", files={"a.py": "x", "b/c.py": "y"})
    known = {code_hash(folder)}

    def changed() -> None:
        found = code_hash(folder)
        assert found not in known
        known.add(found)

    (folder / "a.py").write_text("z")
    changed()
    (folder / "b" / "c.py").rename(folder / "b" / "d.py")
    changed()
    (folder / "a.py").chmod(0o755)
    changed()
    (folder / "link").symlink_to("a.py")
    changed()
    (folder / "link").unlink()
    (folder / "link").symlink_to("b/d.py")
    changed()
    (folder / "a.py").write_text("zb/d.py")
    changed()


def test_the_hash_does_not_depend_on_place_time_and_caches(tmp_path):
    one = write_submission(tmp_path / "one", files={"a.py": "x"})
    other = write_submission(
        tmp_path / "elsewhere" / "other", files={"a.py": "x", "__pycache__/a.pyc": "junk", ".git/HEAD": "junk"}
    )
    os.utime(other / "a.py", (1, 1))
    assert code_hash(one) == code_hash(other)
