"""The HTML of the admin page: templates in which every value is escaped, whoever wrote it."""

from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from ascl.serve.admin.session import Session
from ascl.stats import Estimate

PAGES = {"/": "Overview", "/rules": "Rules", "/edit": "Edit", "/records": "Records", "/keys": "Keys"}


def html(template: str, session: Session | None, here: str = "", status: int = 200, **values: Any) -> Response:
    """A page. here: which of PAGES it belongs to. A form on it holds the token of the session."""
    text = _templates.get_template(template).render(pages=PAGES, session=session, here=here, **values)
    return Response(text.encode(errors="backslashreplace"), status, media_type="text/html")


def message(text: str, status: int, session: Session | None = None) -> Response:
    """A page that says what went wrong."""
    return html("message.html", session, status=status, number=status, text=text)


def _share(estimate: Estimate) -> str:
    if estimate.value is None:
        return "none yet"
    low, high = 100 * (estimate.low or 0), 100 * (estimate.high or 0)
    return f"{100 * estimate.value:.1f} % (95 % interval {low:.1f} to {high:.1f}; n = {estimate.n})"


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


_templates = Environment(
    loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_templates.filters.update(share=_share, time=_time)
