"""Conversion of weaver's data configuration (hqucms/weaver-core) to an analysis file."""
