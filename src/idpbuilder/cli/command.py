"""click in our shape: grouped flags that name their variables, our errors, our exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from idpbuilder.cli.failure import asks_for_json, tell_failure
from idpbuilder.cli.streams import Stream
from idpbuilder.errors import Interrupted, PushError, UsageError
from idpbuilder.redact import Secrets

if TYPE_CHECKING:
    from idpbuilder.push.events import Reporter
    from idpbuilder.push.options import PushOptions
    from idpbuilder.push.result import PushFailure, PushResult
    from idpbuilder.push.stop import Stop

    Run = Callable[[PushOptions, Reporter, Stop], tuple[PushResult | PushFailure, ...]]


@dataclass(slots=True)
class Session:
    """One call of the program: its surroundings, and what must not be shown.

    `run` is what pushes, None for the real one.
    """

    run: Run | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    secrets: Secrets = field(default_factory=Secrets)
    as_json: bool = False

    def tell(self, error: BaseException, *, on_stdout: bool = True) -> int:
        """Print a failure that concerns no destination, and return its exit code.

        Without `on_stdout` not as JSON: what is there is whole already.
        """
        if isinstance(error, KeyboardInterrupt | click.Abort):
            error = Interrupted("stopped by SIGINT", signal.SIGINT)
        return tell_failure(
            error,
            as_json=self.as_json and on_stdout,
            out=Stream(sys.stdout),
            err=Stream(sys.stderr),
            environ=self.environ,
            secrets=self.secrets,
        )


class Flag(click.Option):
    """A flag with the group it is listed in, the variable that stands in for it, and its default.

    click is told of neither variable nor default: `Given` looks them up, so that an error can
    name the variable, and an empty variable counts as unset.
    """

    def __init__(
        self,
        declarations: Sequence[str],
        *,
        group: str,
        variable: str = "",
        default_text: str = "",
        **attributes: Any,
    ) -> None:
        super().__init__(declarations, **attributes)
        self.group = group
        self.variable = variable
        self.default_text = default_text

    @property
    def long_name(self) -> str:
        """The flag as users know it."""
        return max(self.opts, key=len)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """click's record, with the variable and the default."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        extras = [f"env: {self.variable}"] if self.variable else []
        extras += [f"default: {self.default_text}"] if self.default_text else []
        return record[0], record[1] + (f"  [{'; '.join(extras)}]" if extras else "")


class _Shaped(click.Command):
    """A command whose failures and exit codes are ours, not click's."""

    def main(  # type: ignore[override]
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        *,
        obj: Session | None = None,
        **extra: Any,
    ) -> None:
        """Run the command and leave with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        session = obj or Session()
        session.as_json = asks_for_json(arguments)
        extra["standalone_mode"] = False
        try:
            code = super().main(arguments, prog_name, obj=session, **extra)
        except click.ClickException as error:
            code = session.tell(_usage_error(error))
        except Exception as error:
            code = session.tell(error)
        sys.exit(code if isinstance(code, int) else 0)


class PushCommand(_Shaped):
    """A command that lists its flags by group."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group, in the order of their first flags."""
        for title, flags in flags_by_group(self.params).items():
            with formatter.section(title):
                formatter.write_dl(
                    [record for flag in flags if (record := flag.get_help_record(ctx))]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; whatever it raises becomes an exit code."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, SystemExit):
            raise
        except (Exception, KeyboardInterrupt) as error:
            return ctx.ensure_object(Session).tell(error)


class Group(_Shaped, click.Group):
    """A group of commands."""


def flags_by_group(parameters: Iterable[click.Parameter]) -> dict[str, list[Flag]]:
    """The flags among `parameters`, under the titles of their groups."""
    groups: dict[str, list[Flag]] = {}
    for parameter in parameters:
        if isinstance(parameter, Flag):
            groups.setdefault(parameter.group, []).append(parameter)
    return groups


def _usage_error(error: click.ClickException) -> PushError:
    text = error.format_message().rstrip(".").replace("'", "`")
    what = text[:1].lower() + text[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see `{context.command_path} --help`" if context is not None else "see `--help`"
    if isinstance(error, click.NoSuchOption):
        what = f"there is no flag `{error.option_name}`"
        close = list(error.possibilities or ())
        hint = f"did you mean `{close[0]}`?" if close else hint
    elif ". Did you mean " in what:
        what, _, guess = what.partition(". Did you mean ")
        hint = f"did you mean {guess}"
    return UsageError(what, hint=hint)
