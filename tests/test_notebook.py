"""Progress of a notebook: one element that is updated, plain lines, and nothing left behind."""

import sys
from types import SimpleNamespace

import pytest

from collidekit import notebook
from collidekit.notebook import NotebookBar, in_notebook
from collidekit.progress import counting, notice
from collidekit.training.display import Display


class Kernel:
    """As much of IPython as a bar needs; keeps what is shown."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        display = SimpleNamespace(HTML=str, display=self._display)
        shell = SimpleNamespace(kernel=object())
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        monkeypatch.setattr(notebook, "EVERY", 0)

    def _display(self, html: str, display_id: bool) -> SimpleNamespace:
        assert display_id
        self.shown.append(html)
        return SimpleNamespace(update=self.shown.append)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def test_no_notebook_here() -> None:
    assert not in_notebook()


def test_a_bar_counts_and_disappears(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    assert in_notebook()
    with counting("Reading <x>", "rows", 1000) as advance:
        advance(250)
        advance(250)
    assert len(kernel.shown) == 3
    assert "Reading &lt;x&gt; (rows)" in kernel.shown[0]
    assert 'value="0.2500"' in kernel.shown[0]
    assert "500 of 1,000" in kernel.shown[1]
    assert "left" in kernel.shown[1]
    assert kernel.shown[-1] == ""
    with counting("Silent", "rows", 10, shown=False) as advance:
        advance(10)
    assert len(kernel.shown) == 3
    notice("a [warning]")
    assert capsys.readouterr() == ("", "a [warning]\n")


def test_a_bar_without_a_total_has_no_share() -> None:
    bar = NotebookBar("Waiting", None)
    bar.done = 3
    assert "value=" not in bar.html(3700)
    assert "1:01:40 elapsed" in bar.html(3700)


def test_a_training_prints_plain_lines(kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.header()
        display.begin(1, 2, 4, done=1)
        display.step(0.5, 0.4, 1000, 0.1)
        row = {"epoch": 1, "train_loss": 0.5, "val_loss": 0.4, "rows_per_second": 10.0, "learning_rate": 0.1}
        display.end(row, best=True, targets={}, more={})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("epoch  train loss")
    assert lines[1].rstrip().endswith("best")
    assert not any("\x1b" in line for line in lines)
    assert "Epoch 1/2" in kernel.shown[0]
    assert "2 of 4" in kernel.shown[0]
    assert kernel.shown[-1] == ""
