"""Builds the compiled kernels where that is possible, and goes on without them where it is not.

With `IDPBUILDER_TRACE_CYTHON=1` the kernels are built for `make cov`: slower, and able to tell
which of their lines ran. With SOURCE_DATE_EPOCH the archives are the same bytes in every folder
and at every time (`make reproducible` proves it).
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import tarfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist

KERNELS = ("_chunker", "_digest")
TRACED = os.environ.get("IDPBUILDER_TRACE_CYTHON") == "1"


def extensions() -> list[Extension]:
    """The kernels as C, or none where Cython is missing or fails."""
    kernels = [
        Extension(
            f"idpbuilder.native.{name}",
            [f"ext/idpbuilder/native/{name}.pyx"],
            # with sys.monitoring, which Cython takes where there is one, coverage sees no line
            define_macros=[("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")]
            if TRACED
            else [],
            # what tells a debugger of names the folder in which this was built
            extra_compile_args=["-g0"],
        )
        for name in KERNELS
    ]
    try:
        from Cython.Build import cythonize

        return cythonize(
            kernels,
            include_path=["ext"],
            # coverage looks for the C file beside the pyx
            build_dir=None if TRACED else "build/cython",
            compiler_directives={"linetrace": TRACED},
            force=TRACED,
            quiet=True,
        )
    except Exception as error:
        go_on_without("the kernels", error)
        return []


class OptionalBuildExt(build_ext):
    """Leaves out what cannot be compiled: the plain twins do the same work.

    `Extension(optional=True)` would not do: it gives up where there is no compiler at all, and
    an editable install then wants to copy what was never built.
    """

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:
            go_on_without("the kernels", error)

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as error:
            # nor may one that an older source left behind stand in for it
            Path(self.build_lib, self._file(ext)).unlink(missing_ok=True)
            go_on_without(ext.name, error)

    def copy_extensions_to_source(self) -> None:
        built = [ext for ext in self.extensions if Path(self.build_lib, self._file(ext)).exists()]
        for ext in self.extensions:
            if ext not in built:
                Path("src", self._file(ext)).unlink(missing_ok=True)
        self.extensions = built
        super().copy_extensions_to_source()

    def _file(self, ext: Extension) -> str:
        name: str = self.get_ext_filename(self.get_ext_fullname(ext.name))
        return name


class Wheel(bdist_wheel):
    """Brings a bill of materials (PEP 770)."""

    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        sys.path.insert(0, "packaging")
        from sbom import of_wheel

        about = self.distribution
        document = of_wheel(
            about.get_name(),
            about.get_version(),
            about.metadata.license_expression,
            about.install_requires,
            ("cython", "setuptools") if about.ext_modules else ("setuptools",),
        )
        folder = Path(distinfo_path, "sboms")
        folder.mkdir()
        text = json.dumps(document, indent=2) + "\n"
        Path(folder, f"{about.get_name()}.cdx.json").write_text(text, encoding="utf-8")


class Sdist(sdist):
    """Says nothing of who packed it, where and when."""

    def make_archive(
        self,
        base_name: str,
        format: str,  # noqa: A002
        root_dir: str | None = None,
        base_dir: str | None = None,
        owner: str | None = None,
        group: str | None = None,
    ) -> str:
        epoch = os.environ.get("SOURCE_DATE_EPOCH")
        if epoch is None or format != "gztar":
            return super().make_archive(base_name, format, root_dir, base_dir, owner, group)

        def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            member.mtime = int(epoch)
            return member

        path = f"{base_name}.tar.gz"
        with (
            open(path, "wb") as file,
            gzip.GzipFile("", "wb", 9, file, mtime=int(epoch)) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            archive.add(base_dir or base_name, filter=plain)
        return path


def go_on_without(what: str, error: Exception) -> None:
    """Say that `what` was not built, and why."""
    print(f"warning: {what} not compiled, the plain twins will serve: {error}", file=sys.stderr)


# the mask of whoever builds would be seen in the archives
os.umask(0o022)
setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": OptionalBuildExt, "bdist_wheel": Wheel, "sdist": Sdist},
)
