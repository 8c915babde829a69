"""One pipeline for each analysis that ships: from its files to the report, with the settings it recommends."""

import law
import luigi

from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import TestParameters
from collidekit.tasks.report import ReportTask


class Pipeline(TestParameters, law.WrapperTask):  # type: ignore[misc]
    """Base of pipelines: requires the report."""

    exclude_index = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {"report": ReportTask.req(self)}


class TopTaggingRun(Pipeline):
    """Top tagging on the sample that ships: construct, train a PFN, predict, draw, report."""

    config = luigi.Parameter(default="top_tagging", description="the analysis")
    exclude_index = False


class TopTaggingReferenceRun(Pipeline):
    """Top tagging on the Top Quark Tagging Reference Dataset (give its files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="top_tagging_reference", description="the analysis")
    exclude_index = False


class JetFlavourRun(Pipeline):
    """Jet flavour on the sample that ships: b against c and light jets."""

    config = luigi.Parameter(default="jet_flavour", description="the analysis")
    exclude_index = False


class JetFlavourTracksRun(Pipeline):
    """Jet flavour from tracks alone (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="jet_flavour_tracks", description="the analysis")
    exclude_index = False


class JetFlavour2016Run(Pipeline):
    """Jet flavour from 184 inputs of JSON lines (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="jet_flavour_2016", description="the analysis")
    exclude_index = False


class MoonsRun(Pipeline):
    """Relegation on two moons with a mass (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="moons", description="the analysis")
    exclude_index = False


class TopTaggingMassRun(Pipeline):
    """Top tagging with the mass as figure of merit (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="top_tagging_mass", description="the analysis")
    exclude_index = False


class NanoAODJetsRun(Pipeline):
    """Jet flavour from CMS NanoAOD (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="nanoaod_jets", description="the analysis")
    exclude_index = False


class PFNanoJetsRun(Pipeline):
    """Jet flavour from CMS NanoAOD with particle-flow candidates (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="pfnano_jets", description="the analysis")
    exclude_index = False


class TtbarDileptonRun(Pipeline):
    """Jets and neutrinos of dileptonic top pairs on the sample that ships."""

    config = luigi.Parameter(default="ttbar_dilepton", description="the analysis")
    exclude_index = False


class TtbarHadronicRun(Pipeline):
    """Jets of all-hadronic top pairs in SPANet's layout (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="ttbar_hadronic", description="the analysis")
    exclude_index = False


class TthSemileptonicRun(Pipeline):
    """Jets of semileptonic ttH events in SPANet's layout (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="tth_semileptonic", description="the analysis")
    exclude_index = False
