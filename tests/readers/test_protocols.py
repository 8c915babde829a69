"""A list of files asks no server but those of root:// and what the user has named."""

from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.readers import expand, open_file
from collidekit.readers.protocols import check_protocol

REFUSED = [
    "http://host/a.root", "https://host/a.root", "ftp://host/a.root", "github://who:what@main/a.root", "memory://a.root",
    "reference://x.root::http://host/ref.json", "root://x.root::http://host/ref.json", "simplecache::root://host//a.root",
    "file:///etc/passwd", "s3://bucket/*.root",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_other_protocols_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="only local files and root:// are read"):
        expand([url])
    with pytest.raises(CollidekitError, match="only local files and root:// are read"):
        open_file(url)
    (tmp_path / "list.txt").write_text(f"{url}\n")
    with pytest.raises(CollidekitError, match=r"COLLIDEKIT_PROTOCOLS=.*\(named in \S*list.txt, line 1\)"):
        expand([str(tmp_path / "list.txt")])


def test_what_the_user_names_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    check_protocol("root://host//a.root")
    monkeypatch.setenv("COLLIDEKIT_PROTOCOLS", "memory, https")
    with fsspec.open("memory://table.csv", "w") as file:
        file.write("x,y\n1,2\n3,4\n")
    with open_file("memory://table.csv") as reader:
        assert reader.rows == 2
    check_protocol("https://host/a.root")
    with pytest.raises(CollidekitError):
        check_protocol("https::http://host/a.root")
