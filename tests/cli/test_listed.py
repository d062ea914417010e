"""Lists of images: what their lines mean, and what is said of those that mean nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from idpbuilder.cli.listed import LIMIT, read_list
from idpbuilder.errors import UsageError
from idpbuilder.image import Platform, Reference
from idpbuilder.push.options import Order

ARM = Platform.parse("linux/arm64")


def refused() -> bytes:
    raise AssertionError("standard input is nobody's here")


def orders(folder: Path, text: str | bytes, platform: Platform | None = None) -> list[Order]:
    path = folder / "images.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_list(str(path), refused, platform))


def meaning(folder: Path, line: str) -> tuple[str | None, list[str], Platform | None]:
    (order,) = orders(folder, line)
    return order.image, [str(one) for one in order.to], order.platform


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("app:v1", ("app:v1", [], None)),
        ("app:v1 example.com/a/b:c", ("app:v1", ["example.com/a/b:c"], None)),
        (
            "  app:v1\texample.com/a:1 example.org/b:2  platform=linux/arm64 # why",
            ("app:v1", ["example.com/a:1", "example.org/b:2"], ARM),
        ),
        (
            '"/with space/app.tar" example.com/a:1',
            ("/with space/app.tar", ["example.com/a:1"], None),
        ),
        ('{"image": "app:v1"}', ("app:v1", [], None)),
        (
            '{"image": "app:v1", "to": "example.com/a:1", "platform": "linux/arm64"}',
            ("app:v1", ["example.com/a:1"], ARM),
        ),
        (
            '{"image": "app:v1", "to": ["example.com/a:1", "example.org/b:2"]}',
            ("app:v1", ["example.com/a:1", "example.org/b:2"], None),
        ),
    ],
)
def test_a_line_says_what_goes_where(
    line: str, expected: tuple[str, list[str], Platform | None], tmp_path: Path
) -> None:
    assert meaning(tmp_path, line) == expected


def test_empty_lines_and_comments_say_nothing_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    found = orders(tmp_path, "\ufeff# first\r\n\r\n  \none:1\r\n# two\ntwo:2")
    path = tmp_path / "images.txt"
    assert [(order.image, order.line) for order in found] == [
        ("one:1", f"line 4 of `{path}`"),
        ("two:2", f"line 6 of `{path}`"),
    ]


def test_the_flags_platform_is_for_lines_without_one(tmp_path: Path) -> None:
    found = orders(tmp_path, "one\ntwo platform=linux/s390x", ARM)
    assert [str(order.platform) for order in found] == ["linux/arm64", "linux/s390x"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("./app.tar", "{folder}/./app.tar"),
        ("../app.tar", "{folder}/../app.tar"),
        ("oci:layout:v1", "oci:{folder}/layout:v1"),
        ("docker-archive:app.tar", "docker-archive:{folder}/app.tar"),
        ("here.tar", "{folder}/here.tar"),
        ("app:v1", "app:v1"),
        ("/elsewhere/app.tar", "/elsewhere/app.tar"),
        ("docker-daemon:app:v1", "docker-daemon:app:v1"),
        ("-", "-"),
    ],
)
def test_relative_paths_are_relative_to_the_list(image: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "here.tar").touch()
    (order,) = orders(tmp_path, image)
    assert order.image == expected.format(folder=tmp_path)


def test_beside_a_list_that_is_named_without_a_folder_paths_are_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images.txt").write_text("./app.tar\n")
    (order,) = read_list("images.txt", refused, None)
    assert order.image == "./app.tar"


def test_beside_a_list_in_a_folder_below_paths_stay_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "app").touch()
    (tmp_path / "lists" / "images.txt").write_text("app\n")
    (order,) = read_list("lists/images.txt", refused, None)
    assert order.image == "./lists/app"


def test_a_list_may_come_on_standard_input(tmp_path: Path) -> None:
    (order,) = read_list("-", lambda: b"app:v1 example.com/a:1\n", None)
    assert (order.line, order.to) == (
        "line 1 of the list",
        (Reference.parse("example.com/a:1"),),
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("app example.com/UPPER/a", "lower case"),
        ("app user:secret@example.com/a", "a user name or password"),
        ("app https://example.com/a", "no scheme"),
        ("app a", "it names no registry"),
        ("app platform=", "one platform"),
        ("app platform=linux", "linux"),
        ("app platform=linux/amd64 platform=linux/arm64", "one platform"),
        ('app "example.com/a', "quotes"),
        ("{", "as JSON"),
        ("{}", "`image` and `platform` are texts"),
        ('{"image": 1}', "`image` and `platform` are texts"),
        ('{"image": "app", "to": [1]}', "a list of texts"),
        ('{"image": "app", "two": []}', "the unknown key `two`"),
        ('{"image": ""}', "its image is empty"),
        ('{"image": "app", "to": {}}', "a list of texts"),
    ],
)
def test_a_line_that_means_nothing_is_named(line: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        orders(tmp_path, f"good:v1\n{line}\n")
    assert caught.value.what.startswith("line 2 of `")
    assert why in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_a_list_of_nothing_is_an_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no image"):
        orders(tmp_path, text)


def test_a_list_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UsageError, match="cannot be read"):
            read_list(str(path), refused, None)


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(UsageError, match="too long"):
        read_list("-", lambda: bytes(LIMIT + 1), None)


def test_paths_need_not_be_utf8(tmp_path: Path) -> None:
    (order,) = orders(tmp_path, b"/images/caf\xe9.tar\n")
    assert order.image is not None
    assert os.fsencode(order.image) == b"/images/caf\xe9.tar"
