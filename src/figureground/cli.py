"""The command line: parse, call, print. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from figureground.cli_audit import audit
from figureground.cli_check import check
from figureground.cli_compare import compare
from figureground.cli_explain import explain
from figureground.cli_handing import bundle, purge
from figureground.cli_lines import tell_reports, tell_run
from figureground.cli_manifest import build
from figureground.cli_merge import merge
from figureground.cli_seal import seal
from figureground.cli_system import SystemFile, system
from figureground.cli_train import train
from figureground.options.common import FinishedRun, Lang, Overwrite, RunToWrite, Seed
from figureground.options.texts import as_groups, as_list
from figureground.progress_bars import bars

app = typer.Typer(
    name="figureground",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Is your classifier looking at the figure, or at the ground?",
    epilog="Exit codes: 0 done · 1 a cue is demonstrated · 2 usage or manifest · "
    "3 a required cue could not be assessed, or too many rows were set aside · "
    "4 model or data unusable · 5 memory or disk did not suffice: go on with --resume · "
    "6 refused for security or integrity · 70 a bug of ours.",
)


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    """Is your classifier looking at the figure, or at the ground?"""
    if debug:
        os.environ["FIGUREGROUND_DEBUG"] = "1"
    if version:
        from figureground import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for data, models and run folders.")] = Path(
        "runs/demo"
    ),
    seed: Seed = 0,
) -> None:
    """Train two classifiers on the embedded data, audit both, write both reports."""
    from figureground.demo import Demo

    found = Demo(out, seed, progress=bars, say=typer.echo, bar=sys.stderr.isatty())()
    if not found.as_expected:
        typer.echo("the demo did not find what was planted: this is a bug, please report it", err=True)
        raise typer.Exit(70)


app.command()(check)
app.command()(explain)
app.command(name="manifest")(build)
app.command()(merge)
app.command()(compare)
app.command()(bundle)
app.command()(purge)
app.command()(train)
app.command()(audit)


@app.command()
def judge(
    run: FinishedRun,
    out: RunToWrite,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Further subgroups, marked exploratory, for example site,site*sex. Repeatable."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="TOML or JSON file: thresholds, consequences, decisions. Default: the run's."),
    ] = None,
    repeat: Annotated[
        list[Path] | None,
        typer.Option("--repeat", help="Run on other images or of another training, for evidence level 4. Repeatable."),
    ] = None,
    overwrite: Overwrite = False,
    lang: Lang = "en",
) -> None:
    """Ask the stored numbers of a run something new; needs no model."""
    from figureground.api import judge_again
    from figureground.audit.declared.config import load_policy
    from figureground.audit.exits import exit_code

    result = judge_again(
        run, out=out, by=as_groups(by), policy=policy, repeat=repeat or (), overwrite=overwrite, lang=lang
    )
    tell_run(result, out, lang)
    raise typer.Exit(exit_code(result.document, load_policy(out / "policy.json")))


policies = typer.Typer(no_args_is_help=True, help="Write a policy file, or say what one may hold.")
app.add_typer(policies, name="policy")
app.add_typer(system, name="system")


@policies.command()
def init(
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("policy.toml"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
) -> None:
    """Write a policy with every field, its default, unit and meaning, to be edited before the audit."""
    from figureground.audit.declared.policy_file import write_policy

    typer.echo(f"policy: {write_policy(out, overwrite=overwrite)}")


@policies.command()
def schema() -> None:
    """Print the JSON Schema of a policy."""
    import json

    from figureground.audit.declared.policy_file import policy_schema

    typer.echo(json.dumps(policy_schema(), indent=1, ensure_ascii=False))


policies.command()(seal)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Finished run folder, or a bundle.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write, or folder of other formats. Default: in the run folder."),
    ] = None,
    lang: Lang = "en",
    layout: Annotated[
        str,
        typer.Option(
            "--layout", help="single: one file; folder: style and pictures beside the page, as Jenkins wants."
        ),
    ] = "single",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="Some of html, json, junit, csv, card, docx, pdf, separated by commas."),
    ] = None,
    system: SystemFile = None,
) -> None:
    """Render the report of a finished run again, or in other formats; measures nothing."""
    from figureground.api import render_formats, render_report

    chosen = as_list(formats)
    if chosen and layout != "single":
        raise typer.BadParameter("the layout is of the report alone: render it without --format", param_hint="--layout")
    if chosen:
        for file in render_formats(run, chosen, out=out, lang=lang, system=system):
            typer.echo(f"{file}")
        return
    written = render_report(run, out=out, lang=lang, layout=layout, system=system)  # type: ignore[arg-type]  # refused by name
    tell_reports(run, lang, written=written)


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    commitment: Annotated[
        str | None, typer.Option("--commitment", help="What `policy seal` printed before the run, or a file of it.")
    ] = None,
) -> None:
    """Say whether a folder is a finished run whose evidence is as it was sealed."""
    from figureground.handing import verify_run

    found = verify_run(run)
    if found.listed:
        typer.echo(f"{run}: {found.listed} files as listed in SHA256SUMS")
    typer.echo(f"{run}: {found.sealed} files as sealed; SHA-256 of the seal {found.seal}")
    if found.rendered:
        typer.echo(f"{run}: {len(found.rendered)} files outside the seal are as they were rendered")
    for name in found.unknown:
        typer.echo(f"{run}: {name} is outside the seal, and no hash of it was noted: render it again to be sure")
    for name in found.gone:
        typer.echo(f"{run}: {name} was rendered, and is not there any more")
    if commitment is not None:
        from figureground.audit.commitment import check_commitment

        typer.echo(f"{run}: {check_commitment(run, commitment)}")
