"""verify.cpp of a bundle, compiled and run if there is a compiler and the headers of ONNX Runtime."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from collidekit.export.golden import MAGIC, binary

PLACES = (
    *os.environ.get("ONNXRUNTIME_INCLUDE", "").split(os.pathsep),
    "/usr/include/onnxruntime",
    "/usr/include/onnxruntime/core/session",
    "/usr/local/include/onnxruntime",
    "/usr/local/include",
    "/opt/onnxruntime/include",
)


@pytest.fixture(scope="session")
def program(pfn_bundle, tmp_path_factory) -> Path:
    """The compiled verifier, linked to the library that the Python package brings."""
    onnxruntime = pytest.importorskip("onnxruntime")
    compiler = shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("there is no C++ compiler")
    include = next((place for place in PLACES if place and Path(place, "onnxruntime_cxx_api.h").is_file()), None)
    if include is None:
        pytest.skip("the headers of ONNX Runtime are not here (name their folder in ONNXRUNTIME_INCLUDE)")
    libraries = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    if not libraries:
        pytest.skip("the Python package brings no libonnxruntime.so")
    folder = tmp_path_factory.mktemp("cpp")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(libraries[0])
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", str(pfn_bundle / "verify.cpp")]
    command += [
        "-isystem",
        include,
        f"-L{folder}",
        "-lonnxruntime",
        f"-Wl,-rpath,{folder}",
        "-o",
        str(folder / "verify"),
    ]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return folder / "verify"


def run(program: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_golden_rows_come_out(program, pfn_bundle):
    found = run(program, pfn_bundle / "model.onnx", pfn_bundle / "golden.bin")
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("ok ") == 2
    rows = len(np.load(pfn_bundle / "golden.npz")["cases"])
    assert f"{rows} golden rows in calls of 2" in found.stdout


def test_a_changed_number_is_found(program, pfn_bundle, tmp_path):
    arrays = dict(np.load(pfn_bundle / "golden.npz"))
    del arrays["cases"]
    arrays["3.out.0.prob_top"] = arrays["3.out.0.prob_top"] + np.float32(1e-3)
    (tmp_path / "golden.bin").write_bytes(binary(arrays))
    found = run(program, pfn_bundle / "model.onnx", tmp_path / "golden.bin")
    assert found.returncode == 1
    assert "FAILED" in found.stdout
    assert "1.0e-03" in found.stdout


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-9], lambda content: b"x" + content[1:], lambda content: b""]
)
def test_damaged_rows_are_said(program, pfn_bundle, tmp_path, damage):
    (tmp_path / "golden.bin").write_bytes(damage((pfn_bundle / "golden.bin").read_bytes()))
    found = run(program, pfn_bundle / "model.onnx", tmp_path / "golden.bin")
    assert found.returncode == 1
    assert "golden.bin" in found.stderr


def test_the_binary_twin_holds_the_same_arrays(pfn_bundle):
    wanted = dict(np.load(pfn_bundle / "golden.npz"))
    del wanted["cases"]
    content = (pfn_bundle / "golden.bin").read_bytes()
    assert content.startswith(MAGIC)
    types = {1: "<f4", 3: "i1", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}
    place, found = 8, {}

    def take(form: str) -> tuple[int, ...]:
        nonlocal place
        values = struct.unpack_from(form, content, place)
        place += struct.calcsize(form)
        return values

    for _ in range(take("<i")[0]):
        name = content[place + 4 : place + 4 + (length := take("<i")[0])].decode()
        place += length
        kind, rank = take("<ii")
        shape = take(f"<{rank}q")
        size = int(np.prod(shape, dtype=int))
        found[name] = np.frombuffer(content, types[kind], size, place).reshape(shape)
        place += found[name].nbytes
    assert place == len(content)
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)
