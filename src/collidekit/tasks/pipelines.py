"""Pipelines from files to the report: one for each bundled analysis, and those of b-hive."""

import law
import luigi

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import TestParameters
from collidekit.tasks.report import ReportTask
from collidekit.tasks.significance import SignificanceTask


class Pipeline(TestParameters, law.WrapperTask):  # type: ignore[misc]
    """Base of pipelines, which require the report."""

    exclude_index = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {"report": ReportTask.req(self)}

    def run(self) -> None:
        """Do nothing, because the required outputs exist; with ``--workflow``, submit jobs for them."""
        if self.workflow:
            super().run()


class TopTaggingRun(Pipeline):
    """Top tagging on the bundled sample: dataset, training of a PFN, prediction, ROC curves, report."""

    config = luigi.Parameter(default="top_tagging", description="the analysis")
    exclude_index = False


class TopTaggingReferenceRun(Pipeline):
    """Top tagging on the Top Quark Tagging Reference Dataset (give its files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="top_tagging_reference", description="the analysis")
    exclude_index = False


class JetFlavourRun(Pipeline):
    """Jet flavour on the bundled sample: b jets against c and light jets."""

    config = luigi.Parameter(default="jet_flavour", description="the analysis")
    exclude_index = False


class JetFlavourTracksRun(Pipeline):
    """Jet flavour from tracks only (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="jet_flavour_tracks", description="the analysis")
    exclude_index = False


class JetFlavour2016Run(Pipeline):
    """Jet flavour from 184 inputs of JSON lines (give the files with --filelist and --test-filelist)."""

    config = luigi.Parameter(default="jet_flavour_2016", description="the analysis")
    exclude_index = False


class MoonsRun(Pipeline):
    """Relegation on two moons: report, significance, decision boundary and masses (give --filelist and --test-filelist)."""

    config = luigi.Parameter(default="moons", description="the analysis")
    exclude_index = False

    def requires(self) -> dict[str, AnalysisTask]:
        if self.analysis.figure_of_merit is None:  # an analysis of your own, given with --config
            return super().requires()
        return {**super().requires(), "significance": self.significance()}

    def significance(self) -> SignificanceTask:
        """Return the task that compares the objective of this pipeline with a tuned threshold, with the same seeds."""
        config = self.training_config()
        variants = (config.objective,) if config.objective != "classification" else ("relegator",)
        given = {"objective": None, "seed": None, "checkpoint": (), "seeds": self.seeds or (config.seed,)}
        task: SignificanceTask = SignificanceTask.req(self, variants=variants, **given)
        return task


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
    """Jets and neutrinos of dileptonic top pairs on the bundled sample."""

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


class BHivePipeline(Pipeline):
    """Base of pipelines with b-hive's names: a fixed network, and ``--version`` for datasets and training."""

    exclude_index = True
    network = ""
    version = luigi.Parameter(default="", description="version of the dataset and the training, as in b-hive")

    def requires(self) -> dict[str, AnalysisTask]:
        if self.model_name is not None:
            raise CollidekitError(
                f"--model-name: {type(self).__name__} always trains {self.network}; use ReportTask for another network"
            )
        given: dict[str, str] = {"model_name": self.network}
        if self.version:
            names = {"dataset_version": self.version, "training_version": self.version}
            given |= {**names, "test_dataset_version": f"testfiles_{self.version}"}
        return {"report": ReportTask.req(self, **given)}


class DeepJetRun(BHivePipeline):
    """b-hive's pipeline: DeepJet on your own analysis and files, to ROC curves, working points and the report."""

    exclude_index = False
    network = "deepjet"


class DeepJetRunHLT(BHivePipeline):
    """b-hive's pipeline: the small DeepJet for the high-level trigger."""

    exclude_index = False
    network = "deepjet_hlt"


class DeepJetRunHLTPhase2(DeepJetRunHLT):
    """b-hive's pipeline for the Phase 2 trigger: DeepJetRunHLT with your own Phase 2 analysis."""


class ParticleNetRunHLT(BHivePipeline):
    """b-hive's pipeline: ParticleNet on your own analysis and files."""

    exclude_index = False
    network = "particlenet"
