"""The leaderboard as text and as a plot, also with hostile names."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from scoring_toys import AUC, R30, binary_plan, gaussian_scores, metric, score_one, truth_of

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.board import Board, Entry
from collidekit.benchmark.scoring.labels import metric_label, metric_labels, score_notes, shown_score
from collidekit.benchmark.scoring.plot import NAMED, plot_board
from collidekit.benchmark.scoring.ranking import rank
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.scoring.tables import csv_text, markdown, shown_name, write_board
from collidekit.cli.benchmark_board import BoardTable
from collidekit.cli.benchmark_tables import scores_table
from collidekit.errors import CollidekitError

HOSTILE = '=HYPERLINK("http://x")|<script>[bold]\x1b[31m$\\frac{a}$\n\u202e' + "x" * 100
REFERENCE = {"name": "published", "scores": {"auc": 0.9, "r30": 40}, "errors": {"r30": 4}, "source": "arXiv 0000.00000"}


@pytest.fixture(scope="module")
def board() -> Board:
    p, labels = gaussian_scores(3000, 1.5, 1)
    plan, truth = (
        binary_plan(metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3)),
        truth_of(labels),
    )
    logit = np.log(p / (1 - p))
    noise = np.random.default_rng(1).normal(size=(14, len(p)))
    entries = [
        Entry(f"tagger {k}", k, score_one(plan, logit + 0.2 * k * noise[k], truth), user="=me") for k in range(14)
    ]
    entries.append(Entry(HOSTILE, 99, score_one(plan, logit, truth)))
    entries.append(Entry("bad", 100, None, reason="needed more than 4 GB\nof memory"))
    sample = {"features": {"path": "f.parquet"}, "truth": {"path": "t.parquet"}}
    benchmark = Benchmark.model_validate(
        {
            "benchmark": 1, "name": "toy", "title": "Toy", "classes": ["qcd", "top"], "signal": "top", "background": "qcd",
            "output": {"columns": ["top"]}, "metrics": [AUC, R30], "phases": {"final": {"samples": {"nominal": sample}}}, "references": [REFERENCE],
        }
    )  # fmt: skip
    return rank(entries, benchmark)


def test_csv_has_all_digits_and_no_formulas(board: Board) -> None:
    lines = list(csv.DictReader(io.StringIO(csv_text(board))))
    assert len(lines) == 17
    ranked = [line for line in lines if line["rank"]]
    assert [float(line["auc"]) for line in ranked] == [row.scores["auc"].value for row in board.rows if row.rank]
    assert [line["name"][:12] for line in lines if line["run"] == "99"] == ["'=HYPERLINK("]
    assert {line["user"] for line in lines if line["run"] == "0"} == {"'=me"}
    (reference,) = [line for line in lines if line["reference"] == "1"]
    assert (reference["rank"], reference["r30"], reference["r30_error"]) == ("", "40.0", "4.0")
    assert lines[-1]["reason"] == "needed more than 4 GB of memory"
    assert "\x1b" not in csv_text(board)


def test_markdown_is_one_table_whatever_the_names(board: Board) -> None:
    text = markdown(board)
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert len(table) == 18
    assert {line.count("|") for line in table} == {5}
    assert "<script>" not in text
    assert "- bad: needed more than 4 GB of memory" in text


def test_the_terminal_shows_no_markup_or_controls_of_names(board: Board) -> None:
    text = io.StringIO()
    console = Console(file=text, width=200, force_terminal=True, color_system=None)
    console.print(BoardTable(board))
    shown = text.getvalue()
    assert "[bold]" in shown
    assert "\x1b[31m" not in shown
    assert "1 =" in shown
    assert "\u202e" not in shown
    assert "published (arXiv 0000.00000)" in shown
    assert "not ranked: bad: needed more than 4 GB of memory" in shown


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_a_narrow_terminal_leaves_metrics_out_and_cuts_no_number(width: int, board: Board) -> None:
    names = [f"{kind}_{place}" for kind in ("auc", "r30") for place in range(6)]
    columns = [
        dataclasses.replace(board.columns[name.startswith("r30")], name=name, label=f"score {name}") for name in names
    ]
    rows = [
        dataclasses.replace(row, scores={name: row.scores[name[:3]] for name in names if name[:3] in row.scores})
        for row in board.rows
    ]
    many = dataclasses.replace(board, columns=tuple(columns), rows=tuple(rows), order=("r30_4", "auc_0"))
    console = Console(file=(text := io.StringIO()), width=width, soft_wrap=True, highlight=False, color_system=None)
    console.print(BoardTable(many))
    shown = text.getvalue()
    assert "…" not in shown.replace("x" * 5 + "…", "")
    value, error = shown_score(many.rows[1].scores["r30_4"]).split(" ± ")
    assert value in shown
    assert f"± {error}" in shown
    line = next(line for line in shown.splitlines() if line.startswith(f"not shown in {width} columns"))
    assert "score r30_4" not in line
    assert "-o board.csv" in line
    assert all(len(line) <= width for line in shown[: shown.index("not shown")].splitlines())
    missing = [name for name in names if f"score {name}" in line]
    assert 0 < len(missing) < 12


def test_the_scores_of_a_run_are_not_cut() -> None:
    sample = {"features": {"path": "f.parquet"}, "truth": {"path": "t.parquet"}}
    names = [f"sample_{place}" for place in range(12)]
    benchmark = Benchmark.model_validate(
        {
            "benchmark": 1, "name": "toy", "title": "Toy", "classes": ["qcd", "top"], "output": {"columns": ["top"]}, "metrics": [AUC],
            "phases": {"final": {"samples": dict.fromkeys(names, sample)}},
        }
    )  # fmt: skip
    score = {"auc": Score(0.98765, 0.00012)}
    console = Console(file=(text := io.StringIO()), width=80, soft_wrap=True, highlight=False, color_system=None)
    console.print(scores_table(benchmark, Scores(score, dict.fromkeys(names, score))))
    assert text.getvalue().count("0.98765") == 13


def test_files_by_their_suffix(board: Board, tmp_path: Path) -> None:
    content = json.loads(write_board(tmp_path / "b.json", board).read_text())
    assert [row["rank"] for row in content["rows"]][:3] == [None, 1, 1], "the published result has the best AUC"
    assert "curve" not in content["rows"][0]
    assert write_board(tmp_path / "b.csv", board).read_text() == csv_text(board)
    assert write_board(tmp_path / "b.md", board).read_text() == markdown(board)
    assert write_board(tmp_path / "b.png", board).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(CollidekitError, match=r"b\.xls: a leaderboard is written as"):
        write_board(tmp_path / "b.xls", board)


def test_the_plot_shows_what_the_scores_say(board: Board) -> None:
    figure: Figure = plot_board(None, board).figure
    (axes,) = figure.axes
    coloured = [line for line in axes.get_lines() if len(line.get_xdata()) > 10 and line.get_linewidth() > 1]
    grey = [line for line in axes.get_lines() if len(line.get_xdata()) > 10 and line.get_linewidth() < 1]
    assert (len(coloured), len(grey)) == (NAMED, 5)
    rows = [row for row in board.rows if row.curve is not None]
    first = coloured[-1]  # the best entry is drawn last, on top
    x, y = np.asarray(first.get_xdata()), np.asarray(first.get_ydata())
    at = int(np.argmin(np.abs(x - 0.3)))
    assert y[at] == pytest.approx(rows[0].scores["r30"].value, rel=1e-4)
    assert axes.get_yscale() == "log"
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[0].startswith("1 =")
    assert texts[-2:] == ["5 more", "ref  published"]
    assert len({(line.get_color(), line.get_linestyle()) for line in coloured}) == NAMED, "each can be told apart"
    assert len(axes.collections) >= NAMED, "bands"


def test_runs_that_count_stand_beside_the_scores(board: Board) -> None:
    assert "runs" not in markdown(board).splitlines()[0], "no entry is an ensemble"
    first = next(row for row in board.rows if row.rank)
    ensemble = dataclasses.replace(
        board, rows=(dataclasses.replace(first, runs=5, runs_left_out=(1, 3)), *board.rows[-2:])
    )
    lines = markdown(ensemble).splitlines()
    assert lines[0].endswith("| runs |")
    assert [line.split("|")[-2].strip() for line in lines[2:5]] == ["3 of 5 runs", "–", "–"]
    (found, *_) = csv.DictReader(io.StringIO(csv_text(ensemble)))
    assert (found["runs"], found["runs_left_out"]) == ("5", "1 3")
    text = io.StringIO()
    Console(file=text, width=200).print(BoardTable(ensemble))
    assert text.getvalue().count("3 of 5 runs") == 1
    notes = score_notes(Scores({}, runs=5, runs_left_out=(1, 3), notes=("few rows",)))
    assert notes == ["3 of 5 runs count; the outlier rule leaves out 1, 3 (from 0).", "Few rows."]


def test_nothing_to_draw() -> None:
    with pytest.raises(CollidekitError, match="no entry has a ROC curve"):
        plot_board(None, Board("empty", (), ("auc",), ()))


def test_numbers_and_names_for_people() -> None:
    assert shown_score(Score(0.98477, 0.00015)) == "0.98477 ± 0.00015"
    assert shown_score(Score(1294.3, 113.6)) == "1290 ± 110"
    assert shown_score(Score(1294.3, 113.6), 1) == "1294.3 ± 113.6"
    assert shown_score(Score(0.98477, 0.00015), 2) == "0.98477 ± 0.00015", "two digits of the error, not 0.00"
    assert shown_score(Score(12.3, 0.5), 0) == "12.30 ± 0.50"
    assert (shown_score(Score(0.98477, None), 2), shown_score(Score(0.98477, 0.0), 2)) == ("0.98", "0.98")
    assert shown_score(Score(5000.0, None, limit=True)) == "> 5e+03"
    assert shown_score(Score(0.5, None)) == "0.5"
    assert shown_name("a\n\x1b[31mb\u202ec") == "a [31mbc"
    assert shown_name("") == "(no name)"
    assert len(shown_name("x" * 100)) == 60


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (AUC, "AUC"),
        (R30, "1/εB (εS = 0.3)"),
        ({**R30, "label": "mine"}, "mine"),
        ({"name": "s", "metric": "slot_efficiency", "settings": {"slot": "b"}}, "slot right (b)"),
        ({"name": "i", "metric": "interval_score", "settings": {"level": 0.68}}, "interval score (68 %)"),
        ({**AUC, "settings": {"across": "worst"}}, "AUC (worst)"),
        ({"name": "x", "metric": "unknown"}, "x"),
    ],
)  # fmt: skip
def test_labels(content: dict[str, object], label: str) -> None:
    from collidekit.benchmark.definition import Metric

    assert metric_label(Metric.model_validate(content)) == label


MEAN, RIGHT = {"metric": "mean_auc"}, {"metric": "assignment_efficiency"}


@pytest.mark.parametrize(
    ("contents", "labels"),
    [
        ([{"metric": "auc"}, {"metric": "auc", "settings": {"signal": ["top", "w"]}}], ["AUC", "AUC (signal = top + w)"]),
        ([MEAN, {**MEAN, "settings": {"against": "rest"}}, {**MEAN, "settings": {"score": "ratio"}}],
         ["mean AUC (against = each, score = probability)", "mean AUC (against = rest, score = probability)",
          "mean AUC (against = each, score = ratio)"]),
        ([{**R30, "settings": {"signal_efficiency": 0.5}}, {**R30, "settings": {"signal_efficiency": 0.5, "interpolation": "linear"}}],
         ["1/εB (εS = 0.5, interpolation = step)", "1/εB (εS = 0.5, interpolation = linear)"]),
        ([RIGHT, {**RIGHT, "settings": {"events": "all"}}],
         ["all slots right (events = complete)", "all slots right (events = all)"]),
        ([RIGHT, {**RIGHT, "settings": {"alike": [["a_long_name_1", "a_long_name_2"], ["a_long_name_3", "a_long_name_4"]]}}],
         ["all slots right (m0)", "all slots right (m1)"]),
        ([{"metric": "auc", "label": "mine"}, {"metric": "brier", "label": "mine"}], ["mine (m0)", "mine (m1)"]),
        ([{"metric": "auc"}, {"metric": "auc"}], ["AUC (m0)", "AUC (m1)"]),
        ([{"metric": "auc"}, {"metric": "auc"}, {"metric": "brier", "label": "AUC (m0)"}],
         ["AUC (m0) (m0)", "AUC (m1)", "AUC (m0) (m2)"]),
        ([R30, {"metric": "auc"}], ["1/εB (εS = 0.3)", "AUC"]),
    ],
)  # fmt: skip
def test_metrics_of_a_benchmark_have_different_labels(contents: list[dict[str, object]], labels: list[str]) -> None:
    from collidekit.benchmark.definition import Metric

    metrics = [Metric.model_validate({**content, "name": f"m{k}"}) for k, content in enumerate(contents)]
    assert list(metric_labels(metrics).values()) == labels
