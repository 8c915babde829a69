"""Machine learning on collider events: from ROOT files to a tagger that people can trust, deploy and compare."""

__version__ = "0.1.0"
