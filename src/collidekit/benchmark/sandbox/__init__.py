"""Code of participants runs here: with limits, without network, without the truth."""
