"""Pages as HTML, from the templates beside: each holds all it shows, in light and in dark."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from understudy.core.drawing import svg
from understudy.printable import printable

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, **values: Any) -> str:
    """Render a template of `stages/templates`; values are escaped unless it says `safe`.

    A name that the template uses and `values` lack is an error.
    """
    return (
        _environment()
        .get_template(template)
        .render(**values, plot_style=svg.STYLE, color_count=svg.COLOR_COUNT)
    )


def _printable(value: object) -> object:
    """A text that is shown, such as a name, printable; what a template calls `safe` as it is."""
    return printable(value) if type(value) is str else value


@functools.cache
def _environment() -> Environment:
    # Late: --help need not wait for jinja2.
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("understudy.stages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
