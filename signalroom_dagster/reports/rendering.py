"""A report as it is sent: Slack's mrkdwn, an e-mail's HTML and text, a text message, a chart. Pure:
same in, same out.

https://jinja.palletsprojects.com/ and https://mjml.io/ (rendered by
https://github.com/jdrouet/mrml)
"""

import base64
import hashlib
import html
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2

from signalroom_dagster.config import ConfigurationError, shown
from signalroom_dagster.notifications.gsm import fitted
from signalroom_dagster.notifications.mrkdwn import shortened
from signalroom_dagster.reports import formats, templates
from signalroom_dagster.reports.comparison import against, last_days, total
from signalroom_dagster.reports.figures import Figures
from signalroom_dagster.reports.subscriptions import ReportDay
from signalroom_dagster.reports.templates import Template
from signalroom_dagster.settings_files import ENCODING

_TEXTS = (".j2", ".mjml")
CHART_NAME = "chart.png"
CHART_REFERENCE = f"cid:{CHART_NAME}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """One report for every channel; a channel that it has no template for, or nothing to say on, is
    None or empty.

    `html` shows the chart as `cid:chart.png`.
    """

    subject: str
    slack: str
    text: str
    html: str | None = None
    sms: str | None = None
    chart: bytes | None = None
    alt: str = ""

    @property
    def hash(self) -> str:
        """The same for the same words; the chart is drawn from the same figures and left out."""
        parts = (self.subject, self.slack, self.text, self.html or "", self.sms or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def html_with_chart(self, source: str | None = None) -> str | None:
        """The HTML as a file, its chart from `source`, or within it."""
        if self.html is None or self.chart is None:
            return self.html
        return self.html.replace(CHART_REFERENCE, source or self.chart_data)

    def markdown(self) -> str:
        """The report for a page that shows Markdown, with its chart in it: halved, as Markdown
        cannot say how wide.
        """
        if not self.chart:
            return formats.markdown(self.slack)
        from signalroom_dagster.reports.chart import halved

        return f"{formats.markdown(self.slack)}\n\n![{self.alt}]({_data(halved(self.chart))})"

    @property
    def chart_data(self) -> str:
        """The chart as a `data:` address."""
        return _data(self.chart or b"")


def _data(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def render(due: ReportDay, figures: Figures) -> Rendered:
    """A report as every channel gets it. Raises ConfigurationError for a template that cannot be
    filled in.
    """
    template, client = due.template, due.client
    values = _values(due, figures)
    slack = shortened(_slack(template, values))
    rendered = Rendered(
        subject=f"{client.name}: {due.name}, {formats.long_day(due.day)}",
        slack=slack,
        text=_write(template, templates.TEXT, values) or formats.plain(slack),
    )
    if sms := _write(template, templates.SMS, values):
        rendered = replace(rendered, sms=fitted(" ".join(sms.split())))
    if template.chart and values["has_chart"]:
        from signalroom_dagster.reports.chart import draw

        rows = figures.rows[template.chart.query]
        chart = draw(template.chart, rows, due.day, figures.whole, client.currency)
        rendered = replace(rendered, chart=chart, alt=values["chart_alt"])
    return _with_html(rendered, _write(template, templates.EMAIL, values, autoescape=True))


def _values(due: ReportDay, figures: Figures) -> Mapping[str, Any]:
    """What a template may use, besides the filters."""
    client, day, chart = due.client, due.day, due.template.chart
    missing = [item for item in figures.coverage if item.state(day) == "missing"]
    begun = [item for item in figures.coverage if item.state(day) == "begun"]
    return {
        **figures.rows,
        "client": client,
        "report": due.subscription,
        "params": {**dict.fromkeys(due.template.parameters), **due.subscription.params},
        "date": day,
        "coverage": figures.coverage,
        "missing": missing,
        "begun": begun,
        "stale": [*missing, *begun],
        "whole": figures.whole,
        "restated": figures.restated,
        "against": against(figures, day),
        "total": partial(total, figures, day),
        "last_days": partial(last_days, day),
        "has_chart": bool(chart and figures.rows[chart.query] and figures.whole),
        "chart": CHART_REFERENCE,
        "chart_alt": f"{chart.title}, {chart.days} days to {formats.day(day)}" if chart else "",
        "_filters": formats.filters(client.currency, client.zone, day),
    }


def _slack(template: Template, values: Mapping[str, Any]) -> str:
    """Escaped as Slack asks for: like HTML, but for the quotes."""
    text = (
        _write(template, templates.SLACK, values, formats.without_backticks, autoescape=True) or ""
    )
    return text.replace("&#39;", "'").replace("&#34;", '"')


def _write(
    template: Template,
    file: str,
    values: Mapping[str, Any],
    finalize: Callable[[Any], Any] | None = None,
    *,
    autoescape: bool = False,
) -> str | None:
    """One file of a template, filled in; None where the template has no such file."""
    if file not in template.files:
        return None
    with _explained(template):
        environment = _environment(template, values["_filters"], finalize, autoescape=autoescape)
        return environment.get_template(f"{template.name}/{file}").render(values).strip()


def check_texts(template: Template) -> None:
    """Raises ConfigurationError for a file of a template that is not Jinja, or uses a filter that
    there is not.
    """
    filters = formats.filters("USD", ZoneInfo("UTC"), date(2026, 3, 1))
    with _explained(template):
        for file in template.files & {
            templates.SLACK,
            templates.TEXT,
            templates.SMS,
            templates.EMAIL,
        }:
            _environment(template, filters, None).get_template(f"{template.name}/{file}")


def _environment(
    template: Template,
    filters: Mapping[str, Any],
    finalize: Callable[[Any], Any] | None,
    *,
    autoescape: bool = False,
) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(
            [template.folder.parent, *templates.search_path()], encoding=ENCODING
        ),
        autoescape=autoescape,  # nosec B701  # off only where the words are no markup: text and text messages
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters)
    return environment


@contextmanager
def _explained(template: Template) -> Generator[None]:
    """Raises ConfigurationError for what Jinja raises, with file and line: asking again would not
    help.
    """
    try:
        yield
    except jinja2.TemplateSyntaxError as error:
        place = shown(Path(error.filename or template.folder))
        raise ConfigurationError(f"{place}, line {error.lineno}: {error.message}") from None
    except jinja2.TemplateError as error:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename.endswith(_TEXTS)
        ]
        place = (
            f"{shown(Path(frames[-1].filename))}, line {frames[-1].lineno}"
            if frames
            else shown(template.folder)
        )
        raise ConfigurationError(f"{place}: {error.message}") from None


def _with_html(rendered: Rendered, mjml: str | None) -> Rendered:
    if not mjml:
        return rendered
    import mrml

    output = mrml.to_html(mjml, render_options=mrml.RenderOptions(disable_comments=False, fonts={}))
    subject = html.unescape(output.title or rendered.subject)
    return replace(rendered, html=output.content, subject=subject)
