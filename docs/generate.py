"""Writes the pages that repeat what the code says: flags, variables and exit codes.

`python docs/generate.py` writes them; with `--check` it only compares, and fails where a page
differs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from limits import limits
from other_commands import other_pages, others
from sections import PAGE, links_by_exit_code
from tables import code, flags_of, meaning, table

from idpbuilder.cli.command import Flag
from idpbuilder.cli.exits import Exit, documented
from idpbuilder.cli.failure import DEBUG_VARIABLE
from idpbuilder.cli.push import push

DOCS = Path(__file__).parent
BEGIN = "<!-- Written by docs/generate.py, from here -->"
END = "<!-- to here -->"
GENERATED = "<!-- Written by docs/generate.py: change the code, or that file. -->\n"

PUSH = """\
# idpbuilder push

{generated}
## Synopsis

Push OCI-compliant container images to any OCI registry.

```text
idpbuilder push [FLAGS] [IMAGE]...
```

The same command is installed as `idpbuilder-push`, for machines where another `idpbuilder` is
found first, and runs as `python -m idpbuilder push`.

## Description

The `push` command uploads locally built container images to a remote OCI registry. It sends only
what the registry does not have, retries what fails on the way, and tells how it went by its exit
code.

An IMAGE is one of:

| form | meaning |
|---|---|
| nothing | the image that was built or tagged last, found in the engines of this machine |
| `name[:tag]`, `name@digest`, an image ID | an image of Docker or podman, in this order |
| a path | an OCI layout directory, an OCI archive or an archive of `docker save`: plain, or compressed with gzip or zstd |
| `-` | such an archive on standard input |
| `docker-daemon:NAME`, `podman:NAME` | an image of this engine (`containers-storage:NAME` is podman's too) |
| `oci:PATH[:REF]` | an OCI layout directory; REF picks one image of several |
| `oci-archive:PATH[:REF]` | an OCI archive; REF picks one image of several |
| `docker-archive:PATH[:REF]` | an archive of `docker save`; REF picks one image of several, `@N` the N-th |

An argument is a path if it begins with `/`, `./` or `../`, or is a directory that holds an OCI
layout, or an existing file; else it is a name.

Engines are asked in this order: `DOCKER_HOST`, the current docker context, `CONTAINER_HOST`,
Docker's socket, that of rootless Docker, Docker Desktop's, podman's (rootless, then the system's),
and last the `podman` command. One that a variable or a context names and that does not answer ends
the search. Without an IMAGE an image that was pulled, or pushed before, ranks behind one that was
not; among equals the one tagged last is taken, and what cannot be told apart is not pushed.

Raw layers, as engines and `docker save` give them, are compressed on all cores while they are sent:
the same layer always becomes the same bytes. What was packed once is remembered (see
`idpbuilder cache --help`), so an unchanged image is neither packed nor sent again.

The destination is the first of these that is given:

1. `--to REF`: exactly there. A REF without a tag takes the image's tag, else `latest`.
2. `--registry PREFIX` or `IDPBUILDER_REGISTRY_URL`: the image's own name, without its registry,
   below PREFIX. With `registry.example.com/repo`, `myimage:latest` goes to
   `registry.example.com/repo/myimage:latest`.
3. The image's own name, if it names a registry or is a Docker Hub name such as `team/app`.

## Flags
{flags}
## Authentication

Credentials are taken in this order, user name and password each for itself:

1. **Flags**: `--username`, and `--password` or `--password-stdin`
2. **Environment variables**: `IDPBUILDER_REGISTRY_USER` and `IDPBUILDER_REGISTRY_PASSWORD`
3. **Where docker and podman keep them**: the file that `--authfile` or `REGISTRY_AUTH_FILE` names,
   alone; else `DOCKER_AUTH_CONFIG`, docker's `config.json` with its credential helpers, and podman's
   `auth.json`

See the [Authentication Guide](../user-guide/authentication.md).

## Environment Variables

{variables}

A flag wins over its variable. See the
[Environment Variables Reference](../reference/environment-vars.md).

## Examples

<!-- runnable, with docker -->

```bash
# what was built last, to the registry that its tag names
idpbuilder push

# an image of the local engine, below a registry and namespace
idpbuilder push app:v1 --registry registry.example.com/team

# what docker saves, without a file in between
docker save app:v1 | idpbuilder push - --to registry.example.com/team/app:v1

# an OCI layout, to a registry and namespace
idpbuilder push ./image --registry registry.example.com/repo

# to exactly one name, with credentials
printf '%s' "$TOKEN" | idpbuilder push image.tar --to registry.example.com/repo/app:v1 \\
    --username me --password-stdin

# a registry with a self-signed certificate
idpbuilder push ./image --registry registry.internal:5000 --insecure

# fewer retries, more time
idpbuilder push ./image --registry registry.example.com --retry-attempts 5 --timeout 10m

# what would be done
idpbuilder push ./image --registry registry.example.com --dry-run
```

More: [Basic Examples](../examples/basic-push.md),
[Advanced Examples](../examples/advanced-push.md),
[CI Integration](../examples/ci-integration.md).

## Return Codes

{codes}

With several images it is the code of the first one that failed, in the order given. See the
[Error Codes Reference](../reference/error-codes.md).

## Output

On a terminal, or with `--progress plain`:

```text
Pushing image myimage:latest to registry.example.com/repo...
✓ Layer 1/3 pushed (2.5 MB)
✓ Layer 2/3 exists (15.3 MB)
✓ Layer 3/3 mounted from team/base (1.2 MB)
✓ Manifest pushed successfully
Image pushed: registry.example.com/repo/myimage:latest
```

The last line goes to stdout, one per destination; all others go to stderr. Where stderr cannot
print `✓`, `+` stands for it.

- `--quiet` prints no progress; stdout is the digest reference alone,
  `registry.example.com/repo/myimage@sha256:...`.
- `--dry-run` prints the plan on stdout, in place of the last line.
- `--output json` prints one object per destination on stdout, a line each, also with `--quiet`:
  `image`, `reference`, `digest`, `mediaType`, `size`, `platforms`, `layers` (each with `digest`,
  `size`, `status`, `seconds`), `bytesSent`, `requests`, `retries`, `seconds`. One that failed has
  `image`, `reference` and `error` (`exitCode`, `code`, `message`, `hint`).
- An error is told on stderr, also with `--quiet`: `Error: <what failed>: <why>` and, after a
  blank line, `hint: <what to do>`.

## See Also

{others}
- [Getting Started Guide](../user-guide/getting-started.md)
- [Push Command Detailed Usage](../user-guide/push-command.md)
- [Authentication Configuration](../user-guide/authentication.md)
- [Troubleshooting Guide](../user-guide/troubleshooting.md)
- [Basic Examples](../examples/basic-push.md)
- [Advanced Examples](../examples/advanced-push.md)
- [CI Integration](../examples/ci-integration.md)

## Notes

- A multi-platform image is pushed whole, with all its platforms, unless `--platform` names one
- Network failures are retried with growing delays, up to 10 times for each request by default
- Without a terminal (in CI, for example) there is no progress unless `--progress plain` asks for it
- A closed or full stdout or stderr does not stop a push
- A push that failed leaves the tag as it was
"""

VARIABLES = """\
# Environment Variables

{generated}
A flag wins over its variable, and a variable over the default. An empty variable counts as unset.
Variables that are true or false take `true`, `1`, `yes` and `false`, `0`, `no`, in any case.

{variables}

Other variables that are read:

| variable | meaning |
|---|---|
| `{debug}` | `1` prints a traceback with an error that ends the program, without secrets |
| `NO_COLOR` | when set, the bars have no colour |
| `TERM` | `dumb` or unset: no bars on a terminal, only lines |
| `DOCKER_CONFIG` | the folder of the docker config file, in place of `~/.docker` |
| `DOCKER_AUTH_CONFIG` | credentials as in that file, before any file |
| `REGISTRY_AUTH_FILE` | as `--authfile` |
| `DOCKER_HOST`, `DOCKER_CONTEXT`, `DOCKER_TLS_VERIFY`, `DOCKER_CERT_PATH`, `CONTAINER_HOST` | the engine to look for images in, and how to reach it |
| `XDG_RUNTIME_DIR`, `XDG_CONFIG_HOME`, `XDG_CACHE_HOME` | where engines' sockets, podman's files and our cache are |
| `TMPDIR` | where packed layers, exports and standard input are spooled |
| `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY` | the usual proxies, in lower case too |
| `SSL_CERT_FILE`, `SSL_CERT_DIR` | authorities to trust: one of them beside the system's, both in place of them |
| `CONTAINERS_REGISTRIES_CONF` | podman's registries.conf, of which `insecure` and `credential-helpers` are read |
"""

CODES = """\
# Error Codes

{generated}
The exit code tells how a push went, and nothing else does: a closed or full stdout does not
change it. `code` is the word for it in the `error` object of `--output json`.

{codes}

A second Ctrl-C leaves at once, with 130. With several images it is the code of the first one
that failed, in the order given.

An error is told on stderr as `Error: <what failed>: <why>` and, after a blank line,
`hint: <what to do>`. See the [Troubleshooting Guide](../user-guide/troubleshooting.md).
"""

BOUNDS = """\
# Limits

{generated}
Whatever comes from outside is bounded: a file, a registry, a token service or an engine that sends
more is refused with an error, or cut where only its text is of interest.

{limits}

No redirect is followed: a registry that answers with one is told of. A request that found the
registry in trouble is tried again as often as `--retry-attempts` says, and an answer awaited a
second longer for each 4 MB of the blob that the registry has yet to store.
"""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` compare them; 1 where one differs."""
    stale = [path for path, text in pages().items() if _read(path) != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is stale: run `make docs`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages()[path], encoding="utf-8")
        print(f"wrote {path.relative_to(DOCS.parent)}")
    return 0


def pages() -> dict[Path, str]:
    """The text of every generated page."""
    return {
        DOCS / "commands" / "push.md": PUSH.format(
            generated=GENERATED,
            flags=flags_of(push),
            others=others(),
            variables=table(("variable", "stands in for"), _variables()),
            codes=table(("code", "when"), _short_codes()),
        ),
        DOCS / "reference" / "environment-vars.md": VARIABLES.format(
            generated=GENERATED,
            variables=table(("variable", "stands in for", "default", "meaning"), _long_variables()),
            debug=DEBUG_VARIABLE,
        ),
        DOCS / "reference" / "error-codes.md": CODES.format(
            generated=GENERATED, codes=table(("exit code", "`code`", "when"), _codes())
        ),
        DOCS / "reference" / "limits.md": BOUNDS.format(
            generated=GENERATED, limits=table(("what", "at most"), limits())
        ),
        **other_pages(DOCS / "commands", GENERATED),
        PAGE: _filled(_read(PAGE), table(("exit code", "sections"), links_by_exit_code())),
    }


def _filled(page: str, text: str) -> str:
    """`page` with `text` between its two marks."""
    before, mark, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{mark}\n\n{text}\n\n{end}{after}"


def _variables() -> list[tuple[str, ...]]:
    return [(f"`{flag.variable}`", f"`{flag.long_name}`") for flag in _with_variable()]


def _long_variables() -> list[tuple[str, ...]]:
    return [
        (f"`{flag.variable}`", f"`{flag.long_name}`", code(flag.default_text), meaning(flag))
        for flag in _with_variable()
    ]


def _codes() -> list[tuple[str, ...]]:
    return [(str(found.code), code(found.name), found.meaning) for found in documented()]


def _short_codes() -> list[tuple[str, ...]]:
    by_code: dict[int, list[Exit]] = {}
    for found in documented():
        by_code.setdefault(found.code, []).append(found)
    return [
        (f"`{code}`", "; ".join(found.meaning for found in founds))
        for code, founds in by_code.items()
    ]


def _with_variable() -> list[Flag]:
    return [flag for flag in push.params if isinstance(flag, Flag) and flag.variable]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
