"""Files that go into each bundle as they are, and the template of its card."""
