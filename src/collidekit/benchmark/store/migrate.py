"""The tables of a database: made where it is empty, upgraded where it is older, refused where it is newer."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.tables import metadata
from collidekit.errors import CollidekitError
from collidekit.progress import notice

FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "collidekit_revision"


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None where there are none."""
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def head_revision() -> str:
    """Return the revision that this code needs."""
    found = ScriptDirectory(str(FOLDER)).get_current_head()
    assert found is not None
    return found


def is_current(database: Database) -> bool:
    """Return whether the tables are those of this code; an error where they are newer."""
    with database.reading() as connection:
        found = revision_of(connection)
    _refuse_newer(database, found)
    return found == head_revision()


def upgrade(database: Database, target: str = "head", new: bool = True) -> bool:
    """Bring the tables to a revision in one transaction, while no other process does so; returns whether there were none.

    Without ``new`` a database without tables is an error.
    """
    with database.alone() as connection:
        found = revision_of(connection)
        _refuse_newer(database, found)
        if found is None and not new:
            raise CollidekitError(
                f"--store {database.shown}: holds no store; collidekit benchmark serve makes one, or give another database"
            )
        if found is None and (foreign := set(inspect(connection).get_table_names()) & set(metadata.tables)):
            raise CollidekitError(
                f"{database.shown}: has tables of another program ({', '.join(sorted(foreign))}); give another database"
            )
        config = Config()
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, target)
        after = revision_of(connection)
    if found is not None and found != after:
        notice(f"{database.shown}: upgraded from revision {found} to {after}")
    return found is None


def _refuse_newer(database: Database, found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory(str(FOLDER)).walk_revisions()}
    if found is not None and found not in known:
        raise CollidekitError(
            f"{database.shown}: was made by a newer version of collidekit (revision {found}; this version knows up to "
            f"{head_revision()}); upgrade collidekit"
        )
