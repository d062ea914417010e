"""skopeo, to read back what was pushed with a tool that shares no code with it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Skopeo:
    """Runs skopeo with a home of its own, so that no settings of the machine count."""

    program: str
    home: Path

    def run(self, *arguments: str, ca: Path | None = None, **variables: str) -> bytes:
        """Its stdout; an assertion fails with its stderr where it fails."""
        environ = {
            **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home),
            "REGISTRY_AUTH_FILE": str(self.home / "auth.json"),
            **variables,
        }
        if ca is not None:
            environ["SSL_CERT_FILE"] = str(ca)
        done = subprocess.run(
            [self.program, "--insecure-policy", *arguments],
            env=environ,
            capture_output=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"skopeo {' '.join(arguments)}:\n{done.stderr.decode()}"
        return done.stdout

    def pull(
        self, image: str, layout: Path, *, ca: Path | None = None, login: str | None = None
    ) -> Path:
        """Copy `host:port/name:tag`, all platforms, into an OCI layout, digests untouched.

        Without `ca` plain HTTP and any certificate will do. `login` is `user:password`.
        """
        options = ["--all", "--preserve-digests"]
        options += [] if ca else ["--src-tls-verify=false"]
        options += ["--src-creds", login] if login else []
        self.run("copy", "-q", *options, f"docker://{image}", f"oci:{layout}", ca=ca)
        return layout


def root_digest(layout: Path) -> str:
    """The digest of the one image in a layout."""
    (root,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    return str(root["digest"])


def blob_digests(layout: Path) -> set[str]:
    """The digests of all that a layout holds."""
    return {f"{file.parent.name}:{file.name}" for file in layout.glob("blobs/*/*")}
