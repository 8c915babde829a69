"""The layout triton: its configuration agrees with the inputs and outputs of the graph, as read by a small parser."""

import re
from types import SimpleNamespace
from typing import Any

import layout_rows as toys
import numpy as np
import pytest

from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.export.layouts.triton import Triton

TYPES = {"TYPE_FP32": "tensor(float)"}


def parse(text: str) -> dict[str, Any]:
    """The fields of a message in protobuf's text form; repeated ones as lists."""
    words = re.findall(r'"[^"]*"|[\[\]{},:]|[^\s\[\]{},:]+', text)

    def message(end: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while words and words[0] != end:
            name = words.pop(0)
            if words[0] == ":":
                words.pop(0)
            found[name] = value()
            if words and words[0] == ",":
                words.pop(0)
        return found

    def value() -> Any:
        word = words.pop(0)
        if word == "{":
            found = message("}")
            words.pop(0)
            return found
        if word == "[":
            found = []
            while words[0] != "]":
                found.append(value())
                if words[0] == ",":
                    words.pop(0)
            words.pop(0)
            return found
        return word.strip('"') if word.startswith('"') or not re.fullmatch(r"-?\d+", word) else int(word)

    return message("")


class TritonServer:
    """Loads ``<model>/config.pbtxt`` and ``<model>/1/model.onnx``, joins requests and checks shapes and types."""

    def __init__(self, repository: Any, model: str) -> None:
        self.config = parse((repository / model / "config.pbtxt").read_text())
        assert self.config["name"] == model
        assert self.config["platform"] == "onnxruntime_onnx"
        assert self.config["max_batch_size"] > 0
        assert self.config["dynamic_batching"] == {}
        self.session = toys.open_session(repository / model / "1" / "model.onnx")
        for side, of_graph in (("input", self.session.get_inputs()), ("output", self.session.get_outputs())):
            listed = {entry["name"]: entry for entry in self.config[side]}
            assert set(listed) == {tensor.name for tensor in of_graph}
            for tensor in of_graph:
                assert tensor.type == TYPES[listed[tensor.name]["data_type"]]
                free = [-1 if isinstance(size, str) else size for size in tensor.shape]
                assert free == [-1, *self._inside(listed[tensor.name])], tensor.name

    @staticmethod
    def _inside(entry: dict[str, Any]) -> list[int]:
        """The shape that the graph has, without the first axis."""
        assert entry["dims"], "empty dims are not allowed"
        return entry["reshape"]["shape"] if "reshape" in entry else entry["dims"]

    def __call__(self, requests: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        feed = {
            entry["name"]: np.concatenate([request[entry["name"]] for request in requests])
            for entry in self.config["input"]
        }
        for entry in self.config["input"]:
            inside = self._inside(entry)
            shape = feed[entry["name"]].shape[1:]
            assert len(shape) == len(inside)
            assert all(want in (-1, size) for want, size in zip(inside, shape, strict=True))
        names = [entry["name"] for entry in self.config["output"]]
        found = dict(zip(names, self.session.run(names, feed), strict=True))
        ends = np.cumsum([len(next(iter(request.values()))) for request in requests])[:-1]
        parts = {name: np.split(values, ends) for name, values in found.items()}
        return [{name: values[i] for name, values in parts.items()} for i in range(len(requests))]


def test_triton_serves_the_numbers_of_the_tagger(flavour, tmp_path):
    layout = Triton(flavour.graph, "jet-tagger_1", {"max_batch_size": "64"})
    toys.write_layout(layout, flavour.analysis, tmp_path)
    server = TritonServer(tmp_path, "jet-tagger_1")
    assert server.config["max_batch_size"] == 64
    generic = toys.generic_of(flavour.analysis, flavour.rows)
    requests = [
        {name: values[i:j] for name, values in layout.given(generic).items()} for i, j in ((0, 1), (1, 5), (5, 12))
    ]
    found = server(requests)
    wanted = toys.predicted(flavour.tagger, flavour.analysis, flavour.rows)
    names = ["prob_light", "prob_c", "prob_b"]
    joined = {name: np.concatenate([part[name] for part in found]) for name in names}
    toys.assert_same(joined, wanted, names)
    assert found[0]["BvsL"].shape == (1,)


@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5", "99999999", "²"])
def test_a_batch_size_that_is_none_is_refused(jets, size):
    with pytest.raises(CollidekitError, match="max_batch_size: must be a whole number"):
        Triton(jets.graph, "tagger", {"max_batch_size": size})


@pytest.mark.parametrize("name", ["jet tagger", "jets/1", "größe", ""])
def test_a_name_that_is_no_folder_is_refused(jets, name):
    with pytest.raises(CollidekitError, match="layout triton: the name of the model"):
        Triton(jets.graph, name)


def test_each_fold_is_a_model(jets):
    layout = Triton(jets.graph, "tagger")
    layout.check_folds(Folds(2, 0))
    files = layout.files(SimpleNamespace(folds=2))
    assert list(files) == ["tagger_fold0/config.pbtxt", "tagger_fold1/config.pbtxt"]
    assert parse(files["tagger_fold1/config.pbtxt"])["name"] == "tagger_fold1"
    assert layout.file_name(1) == "tagger_fold1/1/model.onnx"
    assert list(layout.files(SimpleNamespace(folds=0))) == ["tagger/config.pbtxt"]
