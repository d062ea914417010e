# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
"""The compiled twin of `_reference.RegionReader`: one call, one span, no object made on the way."""

import os
import stat
from errno import EINVAL

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from posix.types cimport off_t

from idpbuilder.native._span cimport check_region, fill

cdef extern from "<unistd.h>" nogil:
    int close_fd "close"(int fd)


cdef class RegionReader:
    """Reads `size` bytes of a regular file from `offset`; see `_reference.RegionReader`."""

    cdef int _fd
    cdef off_t _position
    cdef off_t _remaining

    def __cinit__(self, int fd, object offset, object size):
        # an exception from here on closes the file in __dealloc__
        self._fd = fd
        check_region(offset, size)
        self._position = offset
        self._remaining = size
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(EINVAL, "not a regular file")

    @property
    def remaining(self):
        """Bytes of the region that are not read yet."""
        return self._remaining

    def readinto(self, object buffer):
        """Fill `buffer` with the next bytes; how many they are, fewer only where the region ends.

        Raises EOFError where the file ends before the region, OSError where it cannot be read,
        ValueError after `close`; nothing counts as read then.
        """
        cdef Py_buffer view
        cdef Py_ssize_t count
        if self._fd < 0:
            raise ValueError("the reader is closed")
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            count = <Py_ssize_t>min(<off_t>view.len, self._remaining)
            fill(self._fd, <char *>view.buf, <size_t>count, self._position)
        finally:
            PyBuffer_Release(&view)
        self._position += count
        self._remaining -= count
        return count

    def close(self):
        """Give back the file. May be called twice."""
        cdef int fd = self._fd
        self._fd = -1
        if fd >= 0:
            os.close(fd)

    def __dealloc__(self):
        if self._fd >= 0:
            close_fd(self._fd)
