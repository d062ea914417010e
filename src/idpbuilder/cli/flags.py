"""The flags: their names, groups, variables, defaults and help. What they do is in `push`."""

from __future__ import annotations

import sys
from typing import Any, Final

import click

from idpbuilder.cli.command import Flag
from idpbuilder.cli.exits import OK
from idpbuilder.cli.streams import Stream

PROGRESS: Final = ("auto", "tty", "plain", "none")
COMPRESSION: Final = ("gzip", "zstd", "none")
OUTPUT: Final = ("text", "json")


def _show_help(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        Stream(sys.stdout).line(ctx.get_help())
        ctx.exit(OK)


def _show_version(ctx: click.Context, _parameter: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        from idpbuilder.cli.version import version_line

        Stream(sys.stdout).line(version_line())
        ctx.exit(OK)


def information() -> list[click.Parameter]:
    """What the group and the command both answer before anything else."""
    attributes: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False}
    group = "Information"
    return [
        Flag(
            ["--help", "-h"], group=group, callback=_show_help, help="Show this text.", **attributes
        ),
        Flag(
            ["--version"],
            group=group,
            callback=_show_version,
            help="Show the version.",
            **attributes,
        ),
    ]


def push_flags() -> list[click.Parameter]:
    """The arguments of `push`, in the order of its help."""
    return [
        click.Argument(["images"], nargs=-1, metavar="[IMAGE]..."),
        Flag(
            ["--registry", "-r"],
            group="Destination",
            variable="IDPBUILDER_REGISTRY_URL",
            metavar="PREFIX",
            help="Push below PREFIX, [http://|https://]host[:port][/namespace...].",
        ),
        Flag(
            ["--from-file"],
            group="Destination",
            metavar="LIST",
            help="Push the images of a list too, a line each: IMAGE [DESTINATION...] "
            "[platform=OS/ARCH], or a JSON object; - reads it from standard input.",
        ),
        Flag(
            ["--shard"],
            group="Destination",
            metavar="I/N",
            help="Push part I, from 1, of N parts of the images, balanced by size and by what they "
            "share: for N machines with the same list. ci: as CI_NODE_INDEX and CI_NODE_TOTAL say.",
        ),
        Flag(
            ["--dask"],
            group="Destination",
            metavar="ADDRESS",
            help="Have the workers of the Dask cluster whose scheduler is at ADDRESS push the "
            "images, each a part of them. They sign in on their own, and read the same paths.",
        ),
        Flag(
            ["--to"],
            group="Destination",
            multiple=True,
            metavar="REF",
            help="Push exactly there. May be given several times; needs exactly one image.",
        ),
        Flag(
            ["--username"],
            group="Authentication",
            variable="IDPBUILDER_REGISTRY_USER",
            metavar="STRING",
            help="User name for the registry.",
        ),
        Flag(
            ["--password"],
            group="Authentication",
            variable="IDPBUILDER_REGISTRY_PASSWORD",
            metavar="STRING",
            help="Password or token; prefer --password-stdin, for this one can be seen in the "
            "process list and in the shell's history.",
        ),
        Flag(
            ["--password-stdin"],
            group="Authentication",
            is_flag=True,
            help="Read the password from standard input.",
        ),
        Flag(
            ["--authfile"],
            group="Authentication",
            metavar="PATH",
            help="Read credentials from this file alone, in place of docker's and podman's own.",
        ),
        Flag(
            ["--insecure"],
            group="Registry",
            variable="IDPBUILDER_REGISTRY_INSECURE",
            is_flag=True,
            help="Do not verify TLS certificates; plain HTTP where the registry speaks no TLS.",
        ),
        Flag(
            ["--cert-dir"],
            group="Registry",
            metavar="DIR",
            help="Folder with *.crt (authorities to trust), *.cert and *.key (client certificate).",
        ),
        Flag(
            ["--platform"],
            group="Registry",
            metavar="OS/ARCH[/VARIANT]",
            help="Push this platform of a multi-platform image alone, as linux/amd64.",
            default_text="all platforms",
        ),
        Flag(
            ["--all-tags", "-a"],
            group="Registry",
            is_flag=True,
            help="Push every tag that the image's repository has in its engine or archive.",
        ),
        Flag(
            ["--compression"],
            group="Packing",
            metavar="|".join(COMPRESSION),
            default_text="gzip, for raw layers alone",
            help="How layers are packed. Given explicitly, all layers are, packed ones too.",
        ),
        Flag(
            ["--compression-level"],
            group="Packing",
            metavar="N",
            default_text="2 for gzip, 3 for zstd",
            help="gzip: 1 or 2, the same bytes on every machine; zstd: 1 to 19. "
            "Without --compression, for raw layers alone.",
        ),
        Flag(
            ["--no-cache"],
            group="Packing",
            is_flag=True,
            help="Neither read nor write the memory of layers that were packed before.",
        ),
        Flag(
            ["--keep-going"],
            group="Operation",
            is_flag=True,
            help="Push the other images when one fails.",
        ),
        Flag(
            ["--no-resume"],
            group="Operation",
            is_flag=True,
            help="Neither go on with uploads that an earlier run left, nor leave any to the next.",
        ),
        Flag(
            ["--timeout"],
            group="Operation",
            variable="IDPBUILDER_PUSH_TIMEOUT",
            metavar="DURATION",
            default_text="5m",
            help="Longest time for each destination, as 90s, 5m or 1h30m; 0 is no limit.",
        ),
        Flag(
            ["--retry-attempts"],
            group="Operation",
            variable="IDPBUILDER_PUSH_RETRY_ATTEMPTS",
            metavar="N",
            default_text="10",
            help="Retries of each request after its first try, from 0 to 20.",
        ),
        Flag(
            ["--jobs"],
            group="Operation",
            metavar="N",
            help="Concurrent transfers for each registry, from 1 to 256.",
            default_text="chosen for you",
        ),
        Flag(
            ["--limit-rate"],
            group="Operation",
            metavar="BYTES",
            help="Upload at most this many bytes per second in all, as 500K or 10M (K is 1024); "
            "0 is no limit.",
            default_text="0",
        ),
        Flag(
            ["--dry-run"],
            group="Operation",
            is_flag=True,
            help="Find, check, sign in, ask what exists, and print the plan. Nothing is sent.",
        ),
        Flag(
            ["--verify"],
            group="Operation",
            is_flag=True,
            help="After the push, read the manifest back and ask for every blob.",
        ),
        Flag(
            ["--quiet", "-q"],
            group="Output",
            variable="IDPBUILDER_PUSH_QUIET",
            is_flag=True,
            help="Print no progress, and the digest reference alone as the result.",
        ),
        Flag(
            ["--verbose", "-v"],
            group="Output",
            variable="IDPBUILDER_PUSH_VERBOSE",
            is_flag=True,
            help="Log each request, retry and choice on stderr.",
        ),
        Flag(
            ["--progress"],
            group="Output",
            metavar="|".join(PROGRESS),
            default_text="auto",
            help="auto: live bars if stderr is a terminal, nothing elsewhere. tty: bars, or lines "
            "where there is no terminal. plain: one line per event.",
        ),
        Flag(
            ["--output"],
            group="Output",
            metavar="|".join(OUTPUT),
            default_text="text",
            help="Form of the result on stdout; json is one object per destination, a line each.",
        ),
        Flag(
            ["--digestfile"],
            group="Output",
            metavar="PATH",
            help="Write name@digest to this file, a line per destination; a dry run only checks "
            "that it can be written.",
        ),
        Flag(
            ["--trace"],
            group="Output",
            metavar="PATH",
            help="Write where the time went to this file: a page if its name ends in .html, trace "
            "events for Perfetto if in .json.",
        ),
        *information(),
    ]
