from __future__ import annotations

import os
from pathlib import Path

import pytest

from idpbuilder.cli.digestfile import DigestFile
from idpbuilder.errors import Forbidden, LocalError
from idpbuilder.image import Reference
from tests.cli.conftest import Call, Spawn
from tests.cli.fakes import DIGEST_LINE, FakeRun, failure, result


def test_the_digest_file_has_a_line_per_destination(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "digests"
    other = result(Reference.parse("other.io/app:v1"))
    run = FakeRun(result(), failure(Forbidden("no")), other)
    assert call("image", "--digestfile", str(path), run=run).exit_code == 2
    assert path.read_text() == f"{DIGEST_LINE}\nother.io/app@{other.root.digest}\n"
    assert os.listdir(tmp_path) == ["digests"]


def test_a_push_that_reached_nothing_leaves_the_digest_file_as_it_was(
    call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "digests"
    path.write_text("before\n")
    call("image", "--digestfile", str(path), run=FakeRun(failure(Forbidden("no"))))
    assert path.read_text() == "before\n"


@pytest.mark.parametrize("name", ["missing/file", ".", "x" * 300])
def test_a_digest_file_that_cannot_be_written_is_found_before_the_push(
    call: Call, tmp_path: Path, name: str
) -> None:
    run = FakeRun(result())
    answer = call("image", "--digestfile", f"{tmp_path}/{name}", run=run)
    assert answer.exit_code == 1
    assert "cannot be written: " in answer.stderr
    assert run.options is None
    assert os.listdir(tmp_path) == []


def test_a_dry_run_writes_no_digest_file(call: Call, tmp_path: Path) -> None:
    run = FakeRun(result(dry_run=True))
    assert (
        call("image", "--dry-run", "--digestfile", str(tmp_path / "digests"), run=run).exit_code
        == 0
    )
    assert os.listdir(tmp_path) == []


def test_mode_and_link_of_a_digest_file_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("a much longer text than the digest")
    target.chmod(0o640)
    link.symlink_to(target)
    file = DigestFile(str(link))
    file.check()
    file.write(["x@sha256:0"])
    assert link.is_symlink()
    assert target.read_text() == "x@sha256:0\n"
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_digest_file_may_be_a_device(tmp_path: Path) -> None:
    DigestFile(os.devnull).check()
    DigestFile(os.devnull).write(["x@sha256:0"])
    assert not os.path.isfile(os.devnull)


def test_a_digest_file_that_fails_at_the_end_is_a_local_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    file = DigestFile(str(folder / "digests"))
    file.check()
    folder.rmdir()
    with pytest.raises(LocalError, match="no such file"):
        file.write(["x@sha256:0"])


def test_a_digest_file_that_fails_at_the_end_is_told_on_stderr_alone(
    call: Call, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"

    def run(*arguments: object) -> object:
        folder.rmdir()
        return FakeRun(result())(*arguments)  # type: ignore[arg-type]

    folder.mkdir()
    answer = call("image", "--output", "json", "--digestfile", f"{folder}/digests", run=run)
    assert answer.exit_code == 1
    assert len(answer.stdout.splitlines()) == 1
    assert "cannot be written: no such file" in answer.stderr


def test_a_digest_file_in_a_folder_that_is_gone_cannot_be_written(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    answer = call("image", "--digestfile", "digests")
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: `digests` cannot be written: no such file")


def test_a_digest_file_on_stdout_loses_no_line(spawn: Spawn, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out:
        done = spawn(
            "tests.cli.fakes", "pushed", "image", "--digestfile", "/dev/stdout",
            stdout=out, stderr=None, capture_output=False,
        )  # fmt: skip
    assert done.returncode == 0
    assert (tmp_path / "out").read_text().splitlines()[-1] == DIGEST_LINE
    assert len((tmp_path / "out").read_text().splitlines()) == 2
