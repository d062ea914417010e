"""`pass` with a key of its own, which `docker-credential-pass` keeps secrets in."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

_ID = "idpbuilder tests"


class PassStore:
    """A store in a temporary folder, unlocked; its agent ends with it.

    `gpg` and `gpgconf` are GnuPG's programs, `program` is pass.
    """

    def __init__(
        self, *, program: str = "pass", gpg: str = "gpg", gpgconf: str = "gpgconf"
    ) -> None:
        self._program, self._gpg, self._gpgconf = program, gpg, gpgconf
        # short: the agent's socket lies in it
        self._folder = tempfile.TemporaryDirectory(prefix="pass-", ignore_cleanup_errors=True)

    @property
    def folder(self) -> Path:
        """Holds the key and the store."""
        return Path(self._folder.name)

    @property
    def variables(self) -> dict[str, str]:
        """With these `pass` finds it."""
        return {
            "GNUPGHOME": str(self.folder / "gnupg"),
            "PASSWORD_STORE_DIR": str(self.folder / "store"),
        }

    def __enter__(self) -> PassStore:
        (self.folder / "gnupg").mkdir(mode=0o700)
        unlocked = ("--batch", "--pinentry-mode", "loopback", "--passphrase", "")
        self._run(self._gpg, *unlocked, "--quick-generate-key", _ID, "default", "default", "never")
        self._run(self._program, "init", _ID)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._gpgconf, "--kill", "all")
        self._folder.cleanup()

    def _run(self, *command: str) -> None:
        environ = {"HOME": str(self.folder), "PATH": os.environ["PATH"], **self.variables}
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr.decode(errors='replace')}"
