"""Triggers: the audit trail only grows, nothing is deleted, a run that ended stays as it ended."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEPT = ("users", "tokens", "benchmarks", "versions", "groups", "uploads", "runs", "attempts", "scores", "events")
"""Tables whose rows are never deleted."""
FIXED = ("events", "scores")
"""Tables whose rows never change."""
OF_RUN = (
    "state", "fault", "reason", "finished_at", "attempt", "losses", "worker", "scores", "steps", "code_hash", "image_digest", "seed",
    "definition_hash", "scoring_hash", "scorer_version", "upload", "parameters", "version_id", "group_id", "user_id",
)  # fmt: skip
"""Columns of a run that stay once it has ended."""
OF_VERSION = ("definition_hash", "scorer_version", "content", "number", "benchmark_id")
"""Columns of a version of a benchmark that never change."""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        _postgresql()
    else:
        _sqlite()


def _sqlite() -> None:
    def refuse(name: str, when: str, table: str, condition: str, message: str) -> None:
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {when} ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{message}'); END"
        )

    for table in KEPT:
        refuse(f"keep_{table}", "DELETE", table, "1", f"rows of {table} are never deleted")
    for table in FIXED:
        refuse(f"fix_{table}", "UPDATE", table, "1", f"rows of {table} never change")
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in OF_RUN)
    ended = "OLD.state IN ('success', 'error', 'canceled')"
    refuse("fix_runs", "UPDATE", "runs", f"{ended} AND ({changed})", "a run that ended does not change")
    back = "OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS NOT OLD.withdrawn_at"
    refuse("fix_withdrawal", "UPDATE", "runs", back, "a withdrawn run stays withdrawn")
    changed = " OR ".join(f"NEW.{column} IS NOT OLD.{column}" for column in OF_VERSION)
    refuse("fix_versions", "UPDATE", "versions", changed, "a version of a benchmark does not change")


def _postgresql() -> None:
    def refuse(name: str, when: str, table: str, condition: str, message: str) -> None:
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {condition} THEN RAISE EXCEPTION "
            f"'{message}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$"
        )
        level = "STATEMENT" if when == "TRUNCATE" else "ROW"
        op.execute(f"CREATE TRIGGER {name} BEFORE {when} ON {table} FOR EACH {level} EXECUTE FUNCTION {name}()")

    for table in KEPT:
        refuse(f"keep_{table}", "DELETE", table, "true", f"rows of {table} are never deleted")
        refuse(f"keep_all_{table}", "TRUNCATE", table, "true", f"rows of {table} are never deleted")
    for table in FIXED:
        refuse(f"fix_{table}", "UPDATE", table, "true", f"rows of {table} never change")
    ended = "OLD.state IN ('success', 'error', 'canceled')"
    refuse("fix_runs", "UPDATE", "runs", f"{ended} AND ({_differs(OF_RUN)})", "a run that ended does not change")
    back = "OLD.withdrawn_at IS NOT NULL AND NEW.withdrawn_at IS DISTINCT FROM OLD.withdrawn_at"
    refuse("fix_withdrawal", "UPDATE", "runs", back, "a withdrawn run stays withdrawn")
    refuse("fix_versions", "UPDATE", "versions", _differs(OF_VERSION), "a version of a benchmark does not change")


def _differs(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"NEW.{column}::text IS DISTINCT FROM OLD.{column}::text" for column in columns)
