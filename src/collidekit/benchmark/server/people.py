"""Actions on users, shared by the API and the pages."""

from fastapi import HTTPException

from collidekit.benchmark.server.service import Service
from collidekit.benchmark.store import Role, User


def add_user(service: Service, name: str, role: Role, owner: User) -> tuple[User, str]:
    """Add a user; returns it with its token."""
    token = service.store.add_user(name, role, actor=owner.name)
    return service.store.user_named(name), token


def new_token(service: Service, user: int, owner: User) -> tuple[User, str]:
    """Return a user and a new token; a user that was revoked works again."""
    found = _user(service, user)
    if found.disabled_at is not None:
        found = service.store.set_disabled(found, False, actor=owner.name)
    return found, service.store.add_token(found, "from the organiser", actor=owner.name)


def revoke_user(service: Service, user: int, owner: User) -> User:
    """Revoke all tokens of a user; an error (409) for the organiser who asks, who would be locked out."""
    found = _user(service, user)
    if found.id == owner.id:
        raise HTTPException(
            409, "you cannot revoke yourself; let another organiser do it, or use collidekit benchmark user revoke"
        )
    service.store.revoke_tokens(found, actor=owner.name)
    return service.store.set_disabled(found, True, actor=owner.name)


def _user(service: Service, user: int) -> User:
    found = {one.id: one for one in service.store.users()}
    if user not in found:
        raise HTTPException(404, f"there is no user {user}")
    return found[user]
