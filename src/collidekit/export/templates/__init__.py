"""Files that are copied into each bundle, and the template of its model card."""
