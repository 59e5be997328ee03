"""Does the work of ``flask webpubsub check``: gathers the findings, and prints them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable
from dataclasses import asdict

import click
from flask import Flask
from flask.cli import NoAppException, ScriptInfo

from ..blueprint import EXTENSION_KEY
from ..deployed import examine_url
from ..doctor import Finding, Level, examine, explain_start
from ..doctor.webhook import silent_log
from .loading import CommandError, one_line
from .remote import describe_risk, fill_path, find_identity

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}
_WIDTH = 100


def check_app(info: ScriptInfo, url: str | None, *, as_json: bool) -> int:
    """Look for what is wrong with an app, and with the one at a URL, and print it: the exit status.

    :raises CommandError: if there is no app.
    """
    app, findings = _load(info)
    ready = app is not None and EXTENSION_KEY in app.extensions
    if app is not None:
        findings += examine(app)
        if url is not None and ready:
            click.echo(describe_risk(url), err=True)
            findings += examine_url(fill_path(url, app), find_identity(app))
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
        if url is None and ready:
            click.echo("\nTo check it as it is deployed: flask webpubsub check --url https://<your app>")
        elif not ready:
            click.echo("\nMend that first: the rest is checked when the app starts.")
    return int(any(finding.level is Level.PROBLEM for finding in findings))


def _load(info: ScriptInfo) -> tuple[Flask | None, list[Finding]]:
    """The app, or what keeps it from starting."""
    try:
        with silent_log():  # what the extension warns of is found again
            return info.load_app(), []
    except NoAppException as error:
        raise CommandError(error.message) from error
    except Exception as error:
        finding = explain_start(error)
        if finding is None:
            raise
        return None, [finding]


def _print(findings: Iterable[Finding]) -> None:
    counts = dict.fromkeys(Level, 0)
    for finding in findings:
        counts[finding.level] += 1
        label = click.style(f"{finding.level.value:<8}", fg=_COLOURS[finding.level])
        click.echo(f"{label} {click.style(one_line(finding.setting), bold=finding.level is not Level.OK)}")
        _print_indented(finding.what)
        if finding.cure:
            _print_indented(finding.cure, "-> ")
    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    click.echo()
    if problems or warnings:
        click.echo(f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}.".capitalize())
    else:
        click.echo("All is well.")


def _print_indented(text: str, mark: str = "") -> None:
    indent = " " * 9
    lines = textwrap.wrap(
        one_line(text),
        _WIDTH,
        initial_indent=indent + mark,
        subsequent_indent=indent + " " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
    click.echo("\n".join(lines))


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
