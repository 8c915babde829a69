"""Search for good settings: a space of settings, trials in a study that several processes share, and a page of results."""
