"""Builds the compiled kernels where that is possible, and goes on without them where it is not.

With `IDPBUILDER_TRACE_CYTHON=1` the kernels are built for `make cov`: slower, and able to tell
which of their lines ran.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

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


def go_on_without(what: str, error: Exception) -> None:
    """Say that `what` was not built, and why."""
    print(f"warning: {what} not compiled, the plain twins will serve: {error}", file=sys.stderr)


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuildExt})
