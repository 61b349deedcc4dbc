"""The command that runs migrations on a dump and reports what they did."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from greenroom.cli.left_out import left_out
from greenroom.cli.options import AS_JSON
from greenroom.cli.seed_build import FOLDER, cancellable, report_phase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.seeds.build import Request
    from greenroom.seeds.rehearse import Rehearsal


@click.command(short_help="Run migrations on a dump, and report what they do.")
@click.argument("dump", type=click.Path(path_type=Path), required=False)
@click.option("--migrate", required=True, metavar="COMMAND", help="A shell command that migrates the database.")
@click.option("--platform", type=click.Path(path_type=Path), help="The folder that contains greenroom.yaml.")
@click.option(
    "--need", default="", metavar="SERVICE/NEED", help="The need that provides the seed. Requires --platform."
)
@click.option("--checkout", type=FOLDER, help="A checkout of the dump's repository. Default: the current folder.")
@click.option("--version", default="", metavar="MAJOR", help="The version of PostgreSQL, such as 16.")
@click.option("--extension", "extensions", multiple=True, metavar="NAME", help="An extension that the dump needs.")
@click.option(
    "--columns",
    type=click.Path(path_type=Path),
    help="The file that classifies the columns. Default: seed.columns.yaml beside the dump.",
)
@click.option("--no-columns", is_flag=True, help="Skip the check for unclassified columns.")
@click.option(
    "--programs",
    type=FOLDER,
    help="The folder with PostgreSQL's programs. Default: the installed programs that match the database version.",
)
@click.option("--work", type=FOLDER, help="The folder for temporary files.")
@click.option("--drift", is_flag=True, help="Also migrate an empty database, and compare the two schemas.")
@AS_JSON
def rehearse(as_json: bool, drift: bool, **given: Any) -> None:
    """Restore DUMP, run the migrations twice, and report what they did. Exit with 1 if there is an alarm or drift.

    \b
    greenroom seed rehearse DUMP --version 16 --migrate COMMAND
    greenroom seed rehearse --platform FOLDER --need SERVICE/NEED --migrate COMMAND

    The database runs on this machine and is deleted at the end. The command connects as the role app: DATABASE_URL and
    PGHOST, PGUSER and PGDATABASE point to the database. The report contains names and counts, but no values.

    In a GitHub Actions job, the report is also added to the job's summary.
    """
    try:
        from greenroom.seeds.rehearse import rehearse as rehearsed
    except ImportError as error:
        raise left_out("`greenroom seed rehearse`", error, extra="seeds") from None
    found = cancellable(rehearsed(_request(given), report_phase, drift=drift))
    click.echo(_json(found) if as_json else _text(found))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        _summarize(Path(summary), found)
    sys.exit(0 if found.ok else 1)


def _summarize(summary: Path, found: Rehearsal) -> None:
    """Add the report to the summary of a job, if it can be written."""
    from greenroom.core.comment.sanitize import fence
    from greenroom.core.messages import migration_details

    drift = tuple(_drift(found))
    parts = [migration_details(found.report), *([fence(drift)] if drift else [])]
    try:
        with summary.open("a", encoding="utf-8") as file:
            file.write("\n\n".join(parts) + "\n")
    except OSError as error:
        click.echo(f"Cannot write the job summary: {error.strerror}.", err=True)


def _drift(found: Rehearsal) -> Iterator[str]:
    if found.not_compared:
        yield found.not_compared
    if found.drift:
        yield "The migrations produce one schema from an empty database (-) and another from the dump (+):"
        yield from found.drift


def _request(given: dict[str, Any]) -> Request:
    from dataclasses import replace

    from greenroom.seeds import wanted, workfolder
    from greenroom.seeds.build import Request

    if given["platform"]:
        if given["dump"] or given["version"] or given["extensions"]:
            raise click.UsageError("DUMP, --version and --extension cannot be combined with --platform.")
        if not given["need"]:
            raise click.UsageError("--platform needs --need SERVICE/NEED.")
        seeded = wanted.load(given["platform"], images=False)
        request = wanted.request(seeded, given["need"], given["checkout"] or Path(), worktree=True)
    elif given["dump"] and given["version"]:
        request = Request(given["dump"], given["version"], "", "", extensions=given["extensions"])
    else:
        raise click.UsageError("Pass DUMP and --version, or --platform and --need.")
    return replace(
        request,
        migrate=given["migrate"],
        programs=given["programs"],
        work=given["work"] or workfolder.PARENT,
        columns=given["columns"],
        no_columns=given["no_columns"],
    )


def _text(found: Rehearsal) -> str:
    from greenroom.core.messages.migrations import finding_sentence, migration_summary

    report = found.report
    lines = [f"  {'alarm' if f.alarm else 'note':5}  {finding_sentence(f, report.failure)}" for f in report.findings]
    ran = [f"  ran    {name}" for name in report.migrations]
    if not report.complete:
        lines.append("  note   A snapshot is missing or incomplete, so this list is incomplete.")
    drift = [f"  drift  {line}" for line in _drift(found)]
    return "\n".join([migration_summary(report), *ran, *lines, *drift])


def _json(found: Rehearsal) -> str:
    from greenroom.core.messages.migrations import finding_sentence, migration_summary

    report = found.report
    findings = [
        {
            "kind": f.kind.value,
            "alarm": f.alarm,
            "table": f.table,
            "count": f.count,
            "name": f.name,
            "sentence": finding_sentence(f, report.failure),
        }
        for f in report.findings
    ]
    drift = {"complete": report.complete, "drift": found.drift, "not_compared": found.not_compared}
    said = {"version": 1, "ok": found.ok, "summary": migration_summary(report), "seconds": report.seconds}
    found_too = {"migrations": report.migrations, "findings": findings, "schema": report.diff}
    return json.dumps({**said, **found_too, **drift})
