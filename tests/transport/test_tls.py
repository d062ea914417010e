"""TLS, certificates, and what is neither."""

from __future__ import annotations

import gc
import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from idpbuilder.transport.curl import CurlEngine
from idpbuilder.transport.settings import EngineSettings
from idpbuilder.wire import BytesBody, Completion, FailureKind, Request, Trust
from tests.parts.certificates import LOOPBACK, Certificates, KeyPair
from tests.parts.listeners import ClosesAtOnce, NeverAnswers, closed_port
from tests.transport.conftest import Finish, MakeEngine
from tests.transport.scripted import CREATED, OK, Peer, ScriptedServer, answering, saying

ANY = Trust(verify=False)


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' CA stands for the system's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))


def failure(done: Completion, kind: FailureKind) -> str:
    assert done.failure is not None
    assert (done.failure.kind, done.response) == (kind, None)
    return done.failure.message


@pytest.mark.usefixtures("trusted")
def test_a_trusted_server_is_talked_to(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    with ScriptedServer(answering(CREATED), tls=certificates.server.server_context()) as server:
        body = BytesBody(bytes(3_000_000))
        for url in (server.url, f"https://{server.other_host}"):
            (done,) = finish(engine, Request("PUT", f"{url}/", body=body))
            assert done.response is not None
            assert done.body_complete


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        ("self_signed", "it is self-signed"),
        ("expired", "it has expired"),
        ("not_yet_valid", "it is not valid yet"),
        ("wrong_host", "it is for another host name"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_told_with_its_reason(
    engine: CurlEngine, finish: Finish, certificates: Certificates, pair: str, reason: str
) -> None:
    context = getattr(certificates, pair).server_context()
    with ScriptedServer(answering(OK), tls=context) as server:
        for host in (server.host, server.other_host):
            (done,) = finish(engine, Request("GET", f"https://{host}/?secret=1"))
            message = failure(done, FailureKind.CERTIFICATE)
            told = reason
            if pair == "wrong_host" and host == server.host:
                told = "it is for another address"
            assert message == f"the certificate is not trusted: {told}"
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=ANY))
        assert done.response is not None


def test_a_certificate_of_a_strange_authority_is_told(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    message = failure(done, FailureKind.CERTIFICATE)
    assert message == "the certificate is not trusted: it was signed by an unknown authority"


def test_a_connection_that_was_not_verified_is_not_used_where_it_must_be(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    with ScriptedServer(answering(OK), tls=certificates.self_signed.server_context()) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=ANY))
        assert done.response is not None
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
        failure(done, FailureKind.CERTIFICATE)


def test_a_crt_in_the_folder_is_an_authority(
    engine: CurlEngine, finish: Finish, certificates: Certificates, tmp_path: Path
) -> None:
    shutil.copy(certificates.ca, tmp_path / "own.crt")
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        trust = Trust(cert_dir=str(tmp_path))
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
        assert done.response is not None


def test_certificates_that_cannot_be_read_are_no_matter_without_tls(
    engine: CurlEngine, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such")
    with ScriptedServer(answering(OK)) as server:
        trust = Trust(cert_dir="/no/such")
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
    assert done.response is not None


def test_a_folder_that_cannot_be_read_is_told(engine: CurlEngine, finish: Finish) -> None:
    (done,) = finish(engine, Request("GET", "https://localhost/", trust=Trust(cert_dir="/no/such")))
    assert failure(done, FailureKind.SETUP).startswith("`/no/such` cannot be read")


def test_a_client_certificate_is_shown(
    engine: CurlEngine, finish: Finish, certificates: Certificates, tmp_path: Path
) -> None:
    shutil.copy(certificates.ca, tmp_path / "own.crt")
    context = certificates.server.server_context(client_ca=certificates.ca)
    trust = Trust(cert_dir=str(tmp_path))
    with ScriptedServer(answering(OK), tls=context) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
        message = failure(done, FailureKind.TLS)
        assert message == "the server wants a client certificate"
    shutil.copy(certificates.client.cert, tmp_path / "me.cert")
    shutil.copy(certificates.client.key, tmp_path / "me.key")
    with ScriptedServer(answering(OK), tls=context) as server:
        trust = Trust(cert_dir=f"{tmp_path}/.")  # certificates are read once for each trust
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
        assert done.response is not None


def test_a_key_with_a_passphrase_is_told_and_nobody_is_asked_for_it(
    engine: CurlEngine, finish: Finish, certificates: Certificates, tmp_path: Path
) -> None:
    shutil.copy(certificates.client.cert, tmp_path / "me.cert")
    words = ("openssl", "ec", "-aes128", "-passout", "pass:secret", "-out", tmp_path / "me.key")
    subprocess.run([*words, "-in", certificates.client.key], check=True, capture_output=True)
    context = certificates.server.server_context(client_ca=certificates.ca)
    with ScriptedServer(answering(OK), tls=context) as server:
        trust = Trust(verify=False, cert_dir=str(tmp_path))
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
    message = failure(done, FailureKind.SETUP)
    assert (
        message == f"`{tmp_path}/me.key` cannot be read: it has a passphrase, and nobody is asked"
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("me.cert", "`{}/me.cert` cannot be read: it holds no certificate in PEM form"),
        ("me.key", "the client certificate or its key cannot be used"),
    ],
)
def test_a_client_certificate_that_is_none_is_told(
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
    tmp_path: Path,
    bad: str,
    message: str,
) -> None:
    shutil.copy(certificates.client.cert, tmp_path / "me.cert")
    shutil.copy(certificates.client.key, tmp_path / "me.key")
    shutil.copy(certificates.server.key, tmp_path / bad)
    context = certificates.server.server_context(client_ca=certificates.ca)
    with ScriptedServer(answering(OK), tls=context) as server:
        trust = Trust(verify=False, cert_dir=str(tmp_path))
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
    assert failure(done, FailureKind.SETUP) == message.format(tmp_path)


def test_of_several_client_certificates_the_first_is_shown(
    engine: CurlEngine, finish: Finish, certificates: Certificates, tmp_path: Path
) -> None:
    for name, pair in (("a", certificates.client), ("b", certificates.self_signed)):
        shutil.copy(pair.cert, tmp_path / f"{name}.cert")
        shutil.copy(pair.key, tmp_path / f"{name}.key")
    context = certificates.server.server_context(client_ca=certificates.ca)
    with ScriptedServer(answering(OK), tls=context) as server:
        trust = Trust(verify=False, cert_dir=str(tmp_path))
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
    assert done.response is not None


def test_a_crt_that_is_none_does_not_spoil_the_others(
    engine: CurlEngine, finish: Finish, certificates: Certificates, tmp_path: Path
) -> None:
    shutil.copy(certificates.ca, tmp_path / "own.crt")
    (tmp_path / "junk.crt").write_bytes(b"\0\xff" * 1000)
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        trust = Trust(cert_dir=str(tmp_path))
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=trust))
    assert done.response is not None


@pytest.mark.parametrize("content", ["", "junk", "-----BEGIN CERTIFICATE-----\n!\n"])
def test_a_bundle_that_is_none_leaves_the_systems(
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str,
) -> None:
    (tmp_path / "own.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "own.pem"))
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    message = failure(done, FailureKind.CERTIFICATE)
    assert message == "the certificate is not trusted: it was signed by an unknown authority"


def test_folders_of_a_variable_need_no_hashes(
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shutil.copy(certificates.ca, tmp_path / "corporate.pem")
    monkeypatch.setenv("SSL_CERT_DIR", f"/no/such:{tmp_path}")
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    assert done.response is not None


@pytest.mark.parametrize("in_memory", [True, False])
def test_certificates_that_are_put_together_need_no_file(
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    in_memory: bool,
) -> None:
    def refuse(_name: str) -> int:
        raise OSError(38, "Function not implemented")

    if not in_memory:
        monkeypatch.setattr("os.memfd_create", refuse, raising=False)
    shutil.copy(certificates.ca, tmp_path / "own.crt")
    with ScriptedServer(answering(OK), tls=certificates.server.server_context()) as server:
        trust = Trust(cert_dir=str(tmp_path))
        requests = [Request("GET", f"{server.url}/", trust=trust) for _ in range(3)]
        for done in finish(engine, *requests):
            assert done.response is not None


def test_certificates_in_memory_go_with_their_engine(
    certificates: Certificates, finish: Finish, tmp_path: Path
) -> None:
    shutil.copy(certificates.ca, tmp_path / "own.crt")
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        engine = CurlEngine(EngineSettings())
        trust = Trust(cert_dir=str(tmp_path))
        request = Request("GET", f"https://localhost:{closed_port()}/", trust=trust)
        failure(*finish(engine, request), FailureKind.CONNECT)
        engine.close()
        del engine
        gc.collect()
    assert len(os.listdir("/dev/fd")) <= before


@pytest.mark.parametrize(
    ("key", "digest", "extension", "reason"),
    [
        ("rsa:1024", "sha256", "", "its key is too weak"),
        ("rsa:2048", "sha1", "", "its signature is too weak"),
        ("rsa:2048", "sha256", "extendedKeyUsage=clientAuth", "it is not meant for a server"),
    ],
)
def test_a_certificate_that_is_too_weak_or_for_something_else_is_told(
    engine: CurlEngine,
    finish: Finish,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    key: str,
    digest: str,
    extension: str,
    reason: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
    pair = KeyPair(tmp_path / "poor.crt", tmp_path / "poor.key")
    ca_key = certificates.ca.with_name("ca.key")
    (tmp_path / "ext").write_text(f"{LOOPBACK}\n{extension}\n")
    request = ("openssl", "req", "-new", "-newkey", key, "-nodes", "-subj", "/CN=poor")
    asked = subprocess.run([*request, "-keyout", pair.key], check=True, capture_output=True).stdout
    sign = ("openssl", "x509", "-req", f"-{digest}", "-CA", certificates.ca, "-CAkey", ca_key)
    words = (*sign, "-CAcreateserial", "-extfile", tmp_path / "ext", "-out", pair.cert)
    subprocess.run(words, check=True, capture_output=True, input=asked)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(pair.cert, pair.key)
    with ScriptedServer(answering(OK), tls=context) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    message = failure(done, FailureKind.CERTIFICATE)
    assert message == f"the certificate is not trusted: {reason}"


@pytest.mark.usefixtures("trusted")
def test_a_server_is_told_by_which_name_it_is_asked_and_never_an_address(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    names: list[str | None] = []
    context = certificates.server.server_context()
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with ScriptedServer(answering(OK), tls=context) as server:
        for host in (server.host, server.other_host):
            finish(engine, Request("GET", f"https://{host}/"))
    assert names == [None, "localhost"]


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent something strange",
        b"<html><h1>400</h1></html>",
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.test ESMTP\r\n",
        b"-ERR unknown command\r\n",
    ],
)
def test_a_server_that_does_not_speak_tls_is_told_apart(
    engine: CurlEngine, finish: Finish, answer: bytes
) -> None:
    def play(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.send(answer)

    with ScriptedServer(play) as server:
        (done,) = finish(engine, Request("GET", f"https://{server.host}/", trust=ANY))
    assert failure(done, FailureKind.NOT_TLS) == "the other side does not speak TLS"


def test_hanging_up_on_a_handshake_is_a_failure_of_tls(engine: CurlEngine, finish: Finish) -> None:
    def reset(peer: Peer) -> None:
        peer.connection.recv(65536)
        peer.reset()

    def close(peer: Peer) -> None:
        peer.connection.recv(65536)

    for script in (reset, close):
        with ScriptedServer(script) as server:
            (done,) = finish(engine, Request("GET", f"https://{server.host}/", trust=ANY))
        assert failure(done, FailureKind.TLS).startswith("the TLS handshake failed: ")
    with ClosesAtOnce() as closing:
        (done,) = finish(engine, Request("GET", f"https://{closing.host}/", trust=ANY))
    failure(done, FailureKind.TLS)


def test_an_old_protocol_is_a_failure_of_tls(
    engine: CurlEngine, finish: Finish, certificates: Certificates
) -> None:
    context = certificates.server.server_context()
    context.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256")  # the certificates are not RSA
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with ScriptedServer(answering(OK), tls=context) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/", trust=ANY))
    message = failure(done, FailureKind.TLS)
    assert message == "the server found no common way to encrypt"


def test_a_handshake_that_does_not_end_is_given_up(make_engine: MakeEngine, finish: Finish) -> None:
    engine = make_engine(connect_seconds=0.2)
    with NeverAnswers() as server:
        (done,) = finish(engine, Request("GET", f"https://{server.host}/"))
    message = failure(done, FailureKind.STALLED)
    assert message == "the connection was made, but not ready for a request within 0.2 s"


def test_an_http_request_to_a_tls_port_is_an_answer_like_any_other(
    engine: CurlEngine, finish: Finish
) -> None:
    answer = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
    with ScriptedServer(saying(answer)) as server:
        (done,) = finish(engine, Request("GET", f"{server.url}/"))
    assert done.response is not None
    assert done.response.status == 400
