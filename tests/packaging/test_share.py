"""Completions and the manual: they say what the flags say, and the shells understand them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from idpbuilder.cli.command import Flag
from idpbuilder.cli.flags import COMPRESSION, OUTPUT, PROGRESS
from idpbuilder.cli.push import push

ROOT = Path(__file__).parents[2]
SHARE = ROOT / "packaging" / "share"

NAMES = {name for flag in push.params if isinstance(flag, Flag) for name in flag.opts}
LONG = {name for name in NAMES if name.startswith("--")}
CHOICES = {"--progress": PROGRESS, "--compression": COMPRESSION, "--output": OUTPUT}


class Bash:
    """Calls the function as bash does when Tab is pressed."""

    command = "bash"

    def offered(self, line: str) -> set[str]:
        """What stands in COMPREPLY; where readline would complete files, what it would."""
        program, *_ = line.split(" ")
        words = [word for part in line.split(" ") for word in re.split(r"(?<=\w)(=)", part)]
        words = [word for word in words if word or word == words[-1]]
        script = """
            source "$1"; shift
            spec=$(complete -p "$1")
            compopt() { [[ " $* " == *" +o default "* ]] && spec=${spec/-o default}
                [[ " $* " == *" -o dirnames "* ]] && spec+=dirnames; }
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); cur=${COMP_WORDS[COMP_CWORD]}
            "$(sed 's/.*-F \\([^ ]*\\) .*/\\1/' <<<"$spec")" "$1"
            ((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}" && exit
            [[ $spec == *"-o default"* ]] && compgen -f -- "$cur"
            [[ $spec == *dirnames ]] && compgen -d -- "$cur"
            true
        """
        file = SHARE / "bash-completion" / "completions" / program
        return set(_run("bash", "--norc", "-c", script, "bash", str(file), *words).split("\n"))


class Zsh:
    """Presses Tab in a zsh of its own."""

    command = "zsh"

    def offered(self, line: str) -> set[str]:
        """What completion hands to `compadd`, whole."""
        script = Path(__file__).with_name("capture.zsh")
        text = _run("zsh", "-f", str(script), line, str(SHARE / "zsh" / "site-functions"))
        folder, slash, _ = line.rpartition(" ")[2].rpartition("/")
        return {folder + slash + word for word in re.findall(r"offered <(.*?)>", text)}


class Fish:
    """Asks fish what it would offer."""

    command = "fish"

    def offered(self, line: str) -> set[str]:
        """The words, without their descriptions."""
        file = SHARE / "fish" / "vendor_completions.d" / f"{line.split(' ')[0]}.fish"
        script = "source $argv[1]; complete -C $argv[2]"
        text = _run("fish", "--no-config", "-c", script, str(file), line)
        words = {offer.partition("\t")[0] for offer in text.split("\n")}
        # it repeats the flag that a value is joined to, and marks folders
        return {re.sub(r"^--[a-z-]+=", "", word).removesuffix("/") for word in words}


Shell = Bash | Zsh | Fish


@pytest.fixture(params=[Bash(), Zsh(), Fish()], ids=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """A shell that is installed."""
    found: Shell = request.param
    if shutil.which(found.command) is None:
        pytest.skip(f"{found.command} is not installed")
    return found


@pytest.fixture(params=["idpbuilder push", "idpbuilder-push"])
def typed(request: pytest.FixtureRequest) -> str:
    """The words that lead to `push`."""
    words: str = request.param
    return words


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with an archive and a folder in it."""
    (tmp_path / "image.tar").touch()
    (tmp_path / "images").mkdir()
    return tmp_path


def test_the_generated_files_say_what_the_flags_say() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "packaging" / "generate.py"), "--check"],
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_are_offered_where_one_is_due(shell: Shell) -> None:
    assert {"push", "cache"} <= shell.offered("idpbuilder ")
    assert shell.offered("idpbuilder cache ") == {"path", "clear"}


def test_every_flag_is_offered(shell: Shell, typed: str) -> None:
    assert shell.offered(f"{typed} --") >= LONG


def test_the_choices_of_a_flag_are_offered_behind_it(shell: Shell, typed: str) -> None:
    offered = {flag: shell.offered(f"{typed} {flag} ") for flag in CHOICES}
    assert offered == {flag: set(words) for flag, words in CHOICES.items()}


def test_the_choices_of_a_flag_are_offered_behind_its_sign_of_equality(shell: Shell) -> None:
    assert shell.offered("idpbuilder push --progress=p") == {"plain"}


def test_an_image_is_a_file(shell: Shell, typed: str, tree: Path) -> None:
    offered = shell.offered(f"{typed} --dry-run {tree}/ima")
    assert offered == {f"{tree}/image.tar", f"{tree}/images"}


def test_a_folder_is_offered_where_a_file_would_not_do(shell: Shell, tree: Path) -> None:
    assert shell.offered(f"idpbuilder push --cert-dir {tree}/ima") == {f"{tree}/images"}


def test_nothing_is_offered_for_what_cannot_be_guessed(
    shell: Shell, typed: str, tree: Path
) -> None:
    assert shell.offered(f"{typed} --username {tree}/ima") <= {""}


def test_an_image_that_is_called_like_a_command_leads_to_no_command(shell: Shell) -> None:
    assert "--registry" in shell.offered("idpbuilder push cache --reg")


@pytest.mark.parametrize("page", sorted(SHARE.glob("man/man1/*")), ids=lambda page: page.name)
def test_a_page_of_the_manual_has_no_fault(page: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-ww", "-z", str(page)],
        capture_output=True, encoding="utf-8", timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_of_push_names_every_flag_and_its_variable() -> None:
    text = (SHARE / "man" / "man1" / "idpbuilder-push.1").read_text(encoding="utf-8")
    bold = set(re.findall(r"\\fB(.*?)\\fR", text.replace("\\-", "-")))
    assert bold >= NAMES
    variables = {flag.variable for flag in push.params if isinstance(flag, Flag)} - {""}
    assert set(re.findall(r"^\.B (IDPBUILDER_\w+)$", text, re.MULTILINE)) >= variables


def _run(*command: str) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", timeout=60,
        check=True,
    )  # fmt: skip
    return done.stdout.removesuffix("\n")
