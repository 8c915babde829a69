"""Pickles of the organiser: lists, tuples, numbers and numeric arrays, and nothing that could run."""

import collections
import io
import os
import pickle

import numpy as np
import pytest

from collidekit.benchmark.unpickle import read_pickled_arrays
from collidekit.errors import CollidekitError

GOOD = [
    [[np.arange(8.0).reshape(2, 4), 1], [np.zeros((3, 4), dtype=np.float32), 0]],
    (1, 2.5, True, None, "text", b"bytes"),
    [np.float64(1.5), np.int64(3), np.bool_(True)],
    np.arange(6, dtype=np.int16).reshape(2, 3, order="F"),
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("content", GOOD)
def test_numbers_and_arrays_come_back(content, protocol, tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    found = read_pickled_arrays(tmp_path / "a.pkl")
    assert repr(found) == repr(content)


def test_a_pickle_of_python_2_comes_back(tmp_path):
    # what Python 2.7 with numpy 1.16 writes for [[np.array([[1., 2., 3., 4.]]), 1]] with protocol 2
    text = (
        b"\x80\x02]q\x00]q\x01(cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x01K\x04"
        b"\x86q\x08cnumpy\ndtype\nq\tU\x02f8q\nK\x00K\x01\x87q\x0bRq\x0c(K\x03U\x01<q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U "
        + np.array([1.0, 2, 3, 4]).tobytes()
        + b"q\x0ftq\x10bK\x01ea."
    )
    (tmp_path / "a.pkl").write_bytes(text)
    (jet,) = read_pickled_arrays(tmp_path / "a.pkl")
    assert jet[0].tolist() == [[1, 2, 3, 4]]
    assert jet[1] == 1


class Runs:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "content",
    [
        Runs(os.system, "touch {}/ran"),
        Runs(eval, "1"),
        Runs(getattr, "text", "upper"),
        Runs(np.frombuffer, b"12345678"),
        Runs(np.ndarray, (10**6,)),
        collections.OrderedDict(a=1),
        {1, 2},
        np.array([Runs(os.system, "touch {}/ran")], dtype=object),
        io.BytesIO(b"x"),
    ],
    ids=lambda content: type(content).__name__,
)
def test_anything_that_could_run_is_refused_and_does_not_run(content, tmp_path):
    if isinstance(content, Runs):
        content.arguments = tuple(
            text.format(tmp_path) if isinstance(text, str) else text for text in content.arguments
        )
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=2))
    if isinstance(content, set):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=3))
    with pytest.raises(
        CollidekitError, match=r"a.pkl: .*only lists, tuples, numbers and numpy arrays|is no pickle, or is damaged"
    ):
        read_pickled_arrays(tmp_path / "a.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"junk", pickle.dumps([1, 2, 3])[:-3], b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f."]
)
def test_a_damaged_file_is_one_line(content, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(CollidekitError, match="is no pickle, or is damaged"):
        read_pickled_arrays(tmp_path / "a.pkl")
