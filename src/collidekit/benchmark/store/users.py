"""Users, their roles and their tokens."""

import hashlib
import secrets
import unicodedata
from typing import Any

from sqlalchemy import Connection, RowMapping, case, insert, or_, select, update

from collidekit.benchmark.store.audit import record
from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.look_alikes import name_key
from collidekit.benchmark.store.records import Role, Token, User
from collidekit.benchmark.store.tables import tokens, users
from collidekit.benchmark.store.text import checked_name, stored_text
from collidekit.errors import CollidekitError

PREFIX = "ckb_"
"""Begin of a token, so that scanners of secrets recognise one."""


def add_user(connection: Connection, name: str, role: str, actor: str) -> tuple[User, str]:
    """Add a user; returns it and its token, which is not stored."""
    name = checked_name(name, "user")
    found = _role(role)
    if connection.execute(select(users.c.id).where(users.c.name_key == name_key(name))).first():
        raise CollidekitError(
            f"user {name!r}: there is a user with this name already, or one that looks like it; give another name"
        )
    values = {"name": name, "name_key": name_key(name), "role": found.value, "created_at": now()}
    row = connection.execute(insert(users).values(**values).returning(users)).mappings().one()
    user = _user(row)
    record(connection, actor, "add user", f"user {user.id}", {"name": name, "role": found.value})
    return user, add_token(connection, user, "first", actor)


def add_token(connection: Connection, user: User, label: str, actor: str) -> str:
    """Return a new token of a user; the store keeps its SHA-256 only."""
    token = PREFIX + secrets.token_urlsafe(32)
    values: dict[str, Any] = {"user_id": user.id, "hash": _hash(token), "label": stored_text(label, 80)}
    added = connection.execute(insert(tokens).values(**values, created_at=now()).returning(tokens.c.id)).scalar_one()
    record(connection, actor, "add token", f"user {user.id}", {"token": added, "label": label})
    return token


def revoke_tokens(connection: Connection, user: User, actor: str, only: int | None = None) -> int:
    """Revoke one token of a user or all; returns how many were valid."""
    chosen = (tokens.c.user_id == user.id) & tokens.c.revoked_at.is_(None)
    if only is not None:
        chosen &= tokens.c.id == only
    revoked = connection.execute(update(tokens).where(chosen).values(revoked_at=now()).returning(tokens.c.id)).all()
    for (number,) in revoked:
        record(connection, actor, "revoke token", f"user {user.id}", {"token": number})
    return len(revoked)


def user_of_token(connection: Connection, token: str) -> User | None:
    """Return the user of a valid token."""
    query = select(users).join(tokens, tokens.c.user_id == users.c.id)
    query = query.where(tokens.c.hash == _hash(token), tokens.c.revoked_at.is_(None), users.c.disabled_at.is_(None))
    row = connection.execute(query).mappings().first()
    return _user(row) if row else None


def tokens_of(connection: Connection, user: User) -> list[Token]:
    """Return the tokens of a user, the oldest first, without their secrets."""
    query = select(tokens.c.id, tokens.c.label, tokens.c.created_at, tokens.c.revoked_at)
    rows = connection.execute(query.where(tokens.c.user_id == user.id).order_by(tokens.c.id)).mappings()
    return [Token(**row) for row in rows]


def all_users(connection: Connection) -> list[User]:
    """Return all users, also disabled ones."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.id)).mappings()]


def user_named(connection: Connection, name: str) -> User:
    """Return a user by name."""
    name = unicodedata.normalize("NFC", name).strip()
    query = select(users).where(or_(users.c.name == name, users.c.name_key == name_key(name)))
    row = connection.execute(query.order_by(case((users.c.name == name, 0), else_=1))).mappings().first()
    if row is None:
        raise CollidekitError(f"user {name!r}: there is no such user")
    return _user(row)


def set_role(connection: Connection, user: User, role: str, actor: str) -> User:
    """Change the role of a user."""
    found = _role(role)
    changed = update(users).where(users.c.id == user.id).values(role=found.value).returning(users)
    row = connection.execute(changed).mappings().one()
    record(connection, actor, "set role", f"user {user.id}", {"role": found.value, "before": user.role.value})
    return _user(row)


def set_disabled(connection: Connection, user: User, disabled: bool, actor: str) -> User:
    """Disable a user, whose tokens then do not work, or enable it again. Its runs stay."""
    changed = update(users).where(users.c.id == user.id).values(disabled_at=now() if disabled else None)
    row = connection.execute(changed.returning(users)).mappings().one()
    record(connection, actor, "disable user" if disabled else "enable user", f"user {user.id}")
    return _user(row)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError:
        raise CollidekitError(f"role {role!r}: is not a role; roles are {', '.join(Role)}") from None


def _user(row: RowMapping) -> User:
    return User(row["id"], row["name"], Role(row["role"]), row["created_at"], row["disabled_at"])
