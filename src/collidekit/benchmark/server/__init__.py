"""The server of a benchmark: a REST API, pages for people, and the processes behind one command."""
