"""Tables of the store. The migrations make them; a test compares both."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)  # fmt: skip

NullableJSON = JSON(none_as_null=True)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

users = Table(
    "users", metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("disabled_at", Double),
)  # fmt: skip

tokens = Table(
    "tokens", metadata,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False, index=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double),
)  # fmt: skip

benchmarks = Table(
    "benchmarks", metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("current", Integer),
    Column("created_at", Double, nullable=False),
)  # fmt: skip
"""``current`` is the id of the version that new submissions get."""

versions = Table(
    "versions", metadata,
    Column("id", Integer, primary_key=True),
    Column("benchmark_id", ForeignKey("benchmarks.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("definition_hash", String(64), nullable=False),
    Column("scorer_version", Text, nullable=False),
    Column("content", NullableJSON, nullable=False),
    Column("folder", Text, nullable=False),
    Column("registered_at", Double, nullable=False),
    UniqueConstraint("benchmark_id", "number"),
    UniqueConstraint("benchmark_id", "definition_hash", "scorer_version"),
)  # fmt: skip

groups = Table(
    "groups", metadata,
    Column("id", Integer, primary_key=True),
    Column("benchmark_id", ForeignKey("benchmarks.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("owner_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("benchmark_id", "name_key"),
)  # fmt: skip

members = Table(
    "members", metadata,
    Column("group_id", ForeignKey("groups.id"), primary_key=True),
    Column("user_id", ForeignKey("users.id"), primary_key=True, index=True),
    Column("added_at", Double, nullable=False),
)  # fmt: skip

uploads = Table(
    "uploads", metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("received_at", Double, nullable=False),
    UniqueConstraint("sha256", "user_id"),
)  # fmt: skip

runs = Table(
    "runs", metadata,
    Column("id", Integer, primary_key=True),
    Column("version_id", ForeignKey("versions.id"), nullable=False, index=True),
    Column("phase", Text, nullable=False),
    Column("group_id", ForeignKey("groups.id"), nullable=False, index=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("upload", String(64), nullable=False, index=True),
    Column("parameters", NullableJSON, nullable=False),
    Column("request", Text),
    Column("rerun_of", ForeignKey("runs.id")),
    Column("state", String(16), nullable=False),
    Column("fault", String(16)),
    Column("reason", Text, nullable=False),
    Column("submitted_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("cancel_requested_at", Double),
    Column("withdrawn_at", Double),
    Column("worker", Text),
    Column("attempt", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("heartbeat_at", Double),
    Column("lease_until", Double),
    Column("definition_hash", String(64), nullable=False),
    Column("scoring_hash", String(64), nullable=False),
    Column("scorer_version", Text, nullable=False),
    Column("code_hash", Text, nullable=False),
    Column("image_digest", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("wall_seconds", Double),
    Column("cpu_seconds", Double),
    Column("peak_memory", Double),
    Column("energy_joules", Double),
    Column("scores", NullableJSON),
    Column("steps", NullableJSON),
    Column("notes", NullableJSON),
    Column("folder", Text, nullable=False),
    UniqueConstraint("user_id", "request"),
    Index(None, "state", "id"),
    Index(None, "user_id", "submitted_at"),
    Index(None, "scoring_hash", "state"),
)  # fmt: skip
"""``attempt`` counts claims and fences off workers that lost their lease;
``losses`` counts tries that failed by a fault of the service, lost workers included."""

scores = Table(
    "scores", metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("content", NullableJSON, nullable=False),
)  # fmt: skip
"""All scores of a run with their bootstrap replicates; ``runs.scores`` has only the metrics."""

attempts = Table(
    "attempts", metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("claimed_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("outcome", String(16)),
    Column("reason", Text, nullable=False),
)  # fmt: skip

workers = Table(
    "workers", metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("job", Text, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("stopped_at", Double),
    Column("message", Text, nullable=False),
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", NullableJSON, nullable=False),
    Index(None, "subject"),
)  # fmt: skip
"""The audit trail. Triggers refuse changes and removal of its rows."""
