"""Checks in environments of their own: ``nox`` runs lint and tests, ``nox -s minimums`` the lowest versions allowed."""

import nox

nox.options.sessions = ["lint", "tests"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types and spelling."""
    session.install("-e", ".", "--group", "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("codespell", "src", "docs", "tests", "README.md", "CHANGELOG.md")


@nox.session
def tests(session: nox.Session) -> None:
    """The tests."""
    session.install("-e", ".[simulate,dask,coffea,tensorboard,pandas]", "--group", "test")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session(venv_backend="uv")
def minimums(session: nox.Session) -> None:
    """The tests with the lowest versions that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[coffea,tensorboard,pandas]", "--group", "test")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation."""
    session.install("-e", ".", "--group", "docs")
    session.run("mkdocs", "build", "--strict")
