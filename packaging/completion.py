"""Writes completions for bash, zsh and fish.

They are text that asks nobody: click's own start the program at each press of Tab.
"""

from __future__ import annotations

from collections.abc import Iterator

from commands import NOTICE, Place, Spelling, Value, below, places


def bash(program: str) -> str:
    """For bash, that of macOS too; needs no bash-completion."""
    found = places(program)
    function = "_" + program.replace("-", "_")
    cases = "\n".join(_bash_case(place) for place in found)
    return f"""\
# bash completion for {program}. {NOTICE}
# shellcheck shell=bash disable=SC2207

{function}() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD - 1]}}
    local at={program} images='' flags='' commands='' word
    # bash makes three words of --flag=value
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        [[ $word == -- ]] && images=1
{_bash_steps(found)}\
    done
    COMPREPLY=()
    # what stands behind -- is an IMAGE: readline completes files
    [[ $images ]] && return
    case $at in
{cases}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags" -- "$cur"))
    elif [[ $commands ]]; then
        COMPREPLY=($(compgen -W "$commands" -- "$cur"))
    fi
}}

complete -o default -F {function} {program}
"""


def _bash_steps(found: tuple[Place, ...]) -> str:
    if not below(found):
        return ""
    names = " | ".join(f'"{name}"' for name in below(found))
    return f"""\
        case "$at $word" in
            {names}) at+=" $word" ;;
        esac
"""


def _bash_case(place: Place) -> str:
    flags = " ".join(name for flag in place.flags for name in flag.names)
    values = "".join(
        f"                {pattern})\n{action}                    return ;;\n"
        for pattern, action in _bash_values(place.flags)
    )
    lines = [f'        "{place.name}")', f'            flags="{flags}"']
    if place.commands:
        lines.append(f'            commands="{" ".join(place.commands)}"')
    if values:
        lines.append(f"            case $prev in\n{values}            esac")
    if not place.takes_images:
        lines.append("            compopt +o default 2>/dev/null")
    return "\n".join([*lines, "            ;;"])


def _bash_values(flags: tuple[Spelling, ...]) -> Iterator[tuple[str, str]]:
    indent = " " * 20
    # bash 3, which macOS has, knows no compopt, and offers files where there is nothing to offer
    actions = {
        Value.FILE: "",
        Value.FOLDER: f"{indent}compopt +o default -o dirnames 2>/dev/null\n",
        Value.TEXT: f"{indent}compopt +o default 2>/dev/null\n",
    }
    for value, action in actions.items():
        names = [name for flag in flags if flag.value is value for name in flag.names]
        if names:
            yield " | ".join(names), action
    for flag in flags:
        if flag.choices:
            action = f'{indent}COMPREPLY=($(compgen -W "{" ".join(flag.choices)}" -- "$cur"))\n'
            yield " | ".join(flag.names), action


def zsh(program: str) -> str:
    """For zsh, found by its name `_PROGRAM` in a folder of `fpath`."""
    found = places(program)
    functions = "\n".join(_zsh_function(place) for place in found)
    return f"""\
#compdef {program}
# {NOTICE}

{functions}
if [[ $funcstack[1] == _{program} ]]; then
    _{program} "$@"
else
    compdef _{program} {program}
fi
"""


def _zsh_function(place: Place) -> str:
    flags = " \\\n        ".join(_zsh_flag(flag) for flag in place.flags)
    if place.commands:
        return _zsh_group(place, flags)
    files = " \\\n        '*:IMAGE:_files'" if place.takes_images else ""
    return f"""\
{_zsh_name(place.words)}() {{
    _arguments -s -S : \\
        {flags}{files}
}}
"""


def _zsh_group(place: Place, flags: str) -> str:
    told = "\n            ".join(_quoted(f"{name}:{text}") for name, text in place.commands.items())
    cases = "\n            ".join(
        f"{name}) {_zsh_name((*place.words, name))} ;;" for name in place.commands
    )
    return f"""\
{_zsh_name(place.words)}() {{
    local curcontext=$curcontext state line
    typeset -A opt_args
    _arguments -C -s -S : \\
        {flags} \\
        '1: :->command' \\
        '*:: :->rest'
    case $state in
        command)
            local -a commands=(
            {told}
            )
            _describe -t commands command commands ;;
        rest)
            case $words[1] in
            {cases}
            esac ;;
    esac
}}
"""


def _zsh_name(words: tuple[str, ...]) -> str:
    return "_" + "__".join(words)


def _zsh_flag(flag: Spelling) -> str:
    text = flag.help.replace("\\", "\\\\")
    for sign in "[]:":
        text = text.replace(sign, f"\\{sign}")
    takes_value = flag.value is not Value.NOTHING
    metavar = flag.metavar.replace("[", "").replace("]", "")
    actions = {
        Value.NOTHING: "",
        Value.CHOICE: f":{metavar}:({' '.join(flag.choices)})",
        Value.FILE: f":{metavar}:_files",
        Value.FOLDER: f":{metavar}:_files -/",
        Value.TEXT: f":{metavar}: ",
    }
    endings = ["=" if name.startswith("--") else "+" for name in flag.names]
    names = [
        name + (ending if takes_value else "")
        for name, ending in zip(flag.names, endings, strict=True)
    ]
    if flag.ends:
        before = "(- *)"
    elif flag.repeatable:
        before = "*"
    else:
        before = f"({' '.join(flag.names)})"
    after = f"[{text}]{actions[flag.value]}"
    if len(names) == 1:
        return _quoted(f"{before}{names[0]}{after}")
    return f"{_quoted(before)}{{{','.join(names)}}}{_quoted(after)}"


def fish(program: str) -> str:
    """For fish, found by its name `PROGRAM.fish`."""
    found = places(program)
    lines = [line for place in found for line in _fish_place(program, place, found)]
    body = "\n".join(lines)
    return f"""\
# fish completion for {program}. {NOTICE}

{_fish_condition(program, found)}complete -c {program} -f
{body}
"""


def _fish_condition(program: str, found: tuple[Place, ...]) -> str:
    if not below(found):
        return ""
    names = " ".join(_quoted(name) for name in below(found))
    return f"""\
function __fish_{program}_at
    set -l at {program}
    for word in (commandline -opc)[2..]
        if contains -- "$at $word" {names}
            set at "$at $word"
        end
    end
    test "$at" = "$argv"
end

"""


def _fish_place(program: str, place: Place, found: tuple[Place, ...]) -> Iterator[str]:
    head = f"complete -c {program}"
    if below(found):
        head += f" -n {_quoted(f'__fish_{program}_at {place.name}')}"
    for name, text in place.commands.items():
        yield f"{head} -a {name} -d {_quoted(text)}"
    for flag in place.flags:
        names = " ".join(
            f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names
        )
        actions = {
            Value.NOTHING: "",
            Value.CHOICE: f" -x -a {_quoted(' '.join(flag.choices))}",
            Value.FILE: " -r -F",
            Value.FOLDER: " -x -a '(__fish_complete_directories)'",
            Value.TEXT: " -x",
        }
        yield f"{head} {names}{actions[flag.value]} -d {_quoted(flag.help)}"
    if place.takes_images:
        yield f"{head} -F"


def _quoted(text: str) -> str:
    # shlex.quote would leave some words bare, and one style is easier to read
    return "'" + text.replace("'", "'\\''") + "'"
