"""Open benchmarks: the definition, the sandbox, the scores, the store and the server."""
