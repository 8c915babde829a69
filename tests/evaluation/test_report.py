"""The report holds the numbers and is self-contained."""

import base64
import re
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.metrics import classification_metrics
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.evaluation.classification.working_points import working_points
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.report import sections
from collidekit.evaluation.report.report import Pictures, ReportContent, Section, Text, write_report

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "plot.png"
    path.write_bytes(PIXEL)
    return path


def test_report_holds_the_numbers_and_no_address(tmp_path, flavour, picture) -> None:
    results = [measure_discriminator(flavour, name, replicates=20) for name in flavour.definitions]
    metrics = classification_metrics(flavour)
    found = working_points(flavour, [0.1, 1e-9])
    content = ReportContent(
        title="PFN on jet_flavour",
        headline=sections.headline(results, metrics),
        warnings=("150 rows have a negative weight",),
        sections=(
            sections.data_section({"test": metrics.counts}, [("read", 4000), ("selected", 3000)], "jet_pt > 20"),
            sections.roc_section(results, [picture], [paired_difference(results[0], results[0])]),
            sections.classification_section(metrics, [picture]),
            sections.working_points_section(found),
            sections.training_section([picture], {"epochs": "20"}),
            sections.inputs_section([picture, picture], ["jet_pt"]),
            sections.provenance_section("seed: 1", {"numpy": "2.0"}, {"git commit": "abc"}, {"training": "1"}),
        ),
    )
    text = write_report(tmp_path / "report.html", content).read_text()
    for result in results:
        assert with_error(result.auc, result.auc_error) in text
        assert all(f">{rejection.surviving:,}<" in text for rejection in result.rejections)
    assert f"{found[0].points[0].threshold:.6g}" in text
    assert "not reachable" in text
    assert "150 rows have a negative weight" in text
    assert "jet_pt &gt; 20" in text
    assert "seed: 1" in text
    assert base64.b64encode(PIXEL).decode() in text
    assert not re.search(r"https?:|//[a-z]|<script|<link|@import|url\(", text)
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]+)', text))


def test_sections_can_be_added_and_text_is_escaped(tmp_path) -> None:
    section = Section("Robustness & attacks", (Text("<script>alert(1)</script>"),))
    text = write_report(tmp_path / "report.html", ReportContent("Toy", sections=(section,))).read_text()
    assert "<h2>Robustness &amp; attacks</h2>" in text
    assert "<script>" not in text


def test_a_missing_plot_leaves_no_report(tmp_path) -> None:
    section = Section("ROC curves", (Pictures((tmp_path / "gone.png",)),))
    with pytest.raises(CollidekitError, match=r"gone\.png"):
        write_report(tmp_path / "report.html", ReportContent("Toy", sections=(section,)))
    assert list(tmp_path.iterdir()) == []
