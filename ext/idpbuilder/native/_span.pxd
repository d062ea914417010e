"""What both kernels are built on: spans of a file, read whole and without the GIL."""

from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from posix.types cimport off_t

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int fd, void *into, size_t count, off_t position)


cdef inline int check_region(object offset, object size) except -1:
    if offset < 0 or size < 0 or offset + size > 0x7FFF_FFFF_FFFF_FFFF:
        raise ValueError(f"no file has a region of {size} bytes at {offset}")
    return 0


cdef inline int fill(int fd, char *into, size_t count, off_t position) except -1:
    cdef size_t filled = 0
    cdef ssize_t got
    while filled < count:
        with nogil:
            got = pread(fd, into + filled, count - filled, position + <off_t>filled)
        if got > 0:
            filled += <size_t>got
        elif got == 0:
            raise EOFError(
                f"the file ends at byte {position + <off_t>filled}, before its content does"
            )
        elif errno == EINTR:
            PyErr_CheckSignals()
        else:
            PyErr_SetFromErrno(OSError)
    return 0
