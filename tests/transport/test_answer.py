from __future__ import annotations

from idpbuilder.transport.answer import HEAD_LIMIT, LINES_LIMIT, SURPLUS_LIMIT, Answer


def answer(*lines: bytes, limit: int = 100) -> Answer:
    found = Answer(limit)
    for line in lines:
        assert found.add_line(line + b"\r\n")
    return found


def test_status_and_fields_are_read() -> None:
    found = answer(b"HTTP/1.1 202 Accepted", b"Location: /v2/x", b"Range:0-1 ", b"")
    assert found.status == 202
    assert found.whole_head
    assert list(found.headers) == [("location", "/v2/x"), ("range", "0-1")]


def test_a_status_without_a_reason_is_read() -> None:
    assert answer(b"HTTP/1.1 404").status == 404


def test_a_status_that_is_not_of_three_digits_is_none() -> None:
    for code in (b"20", b"2000", b"9" * 5000):
        assert answer(b"HTTP/1.1 " + code + b" OK").status == 0


def test_interim_answers_are_forgotten() -> None:
    interim = (b"HTTP/1.1 103 Early Hints", b"Link: x", b"")
    found = answer(*interim, *interim)
    assert not found.begun
    assert not found.whole_head
    for line in (b"HTTP/1.1 201 Created", b"A: b", b""):
        found.add_line(line)
    assert (found.status, list(found.headers)) == (201, [("a", "b")])


def test_trailers_are_not_headers() -> None:
    found = answer(b"HTTP/1.1 200 OK", b"A: b", b"", b"HTTP/1.1 500: x", b"C: d", b"")
    assert (found.status, list(found.headers)) == (200, [("a", "b")])


def test_header_bytes_are_latin_1() -> None:
    assert answer(b"HTTP/1.1 200 OK", b"A: caf\xe9").headers.get("a") == "café"


def test_a_line_that_is_no_field_is_skipped() -> None:
    assert list(answer(b"HTTP/1.1 200 OK", b"nonsense").headers) == []


def test_too_many_lines_are_refused() -> None:
    found = Answer(0)
    taken = [found.add_line(b"A: b\r\n") for _ in range(LINES_LIMIT + 1)]
    assert taken == [True] * LINES_LIMIT + [False]


def test_interim_answers_without_end_are_refused() -> None:
    found = Answer(0)
    taken = [
        found.add_line(line)
        for _ in range(LINES_LIMIT // 2 + 1)
        for line in (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    ]
    assert not all(taken)


def test_too_large_a_head_is_refused() -> None:
    found = Answer(0)
    assert found.add_line(b"A: " + b"x" * (HEAD_LIMIT - 5) + b"\r\n")
    assert not found.add_line(b"\r\n")


def test_a_body_is_cut_at_its_limit_and_read_on() -> None:
    found = Answer(5)
    assert all(found.add_data(data) for data in (b"abc", b"def", b"ghi"))
    assert found.body == b"abcde"
    assert not found.cut


def test_far_too_long_a_body_is_read_no_further() -> None:
    found = Answer(5)
    piece = bytes(1 << 20)
    for _ in range(SURPLUS_LIMIT >> 20):
        assert found.add_data(piece)
    assert not found.add_data(piece)
    assert found.cut
    assert found.body == bytes(5)
