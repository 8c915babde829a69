"""Pages as answers."""

from typing import Any

from fastapi.responses import HTMLResponse, RedirectResponse

from collidekit.benchmark.server.access import Visitor
from collidekit.benchmark.server.service import Service


def page(service: Service, template: str, visitor: Visitor, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made from a template."""
    shown = service.templates.get_template(template).render(user=visitor.user, form=visitor.form, **values)
    return HTMLResponse(shown, status)


def go_to(address: str) -> RedirectResponse:
    """Return the answer to a form that was accepted: show another page."""
    return RedirectResponse(address, 303)
