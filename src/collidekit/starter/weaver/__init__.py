"""weaver's data configuration (hqucms/weaver-core) as an analysis file."""
