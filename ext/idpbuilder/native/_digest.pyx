# cython: language_level=3, boundscheck=False, wraparound=False, embedsignature=True
"""The compiled twins of `_reference.digest_region` and `fingerprint_region`.

The bytes go from the page cache through one buffer that stays in the processor's cache, and
from there into the hash: no object is made for each of the spans.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.exc cimport PyErr_CheckSignals
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport free, malloc
from posix.types cimport off_t

from idpbuilder.native._span cimport check_region, fill

cdef enum:
    BUFFER_SIZE = 256 * 1024
    SAMPLE_SIZE = 16 * 1024
    SAMPLES = 64


cdef char *allocate(size_t size) except NULL:
    cdef char *memory = <char *>malloc(max(size, 1))
    if memory == NULL:
        raise MemoryError()
    return memory


def digest_region(int fd, object offset, object size, str algorithm not None):
    """The hex digest of `size` bytes from `offset`; see `_reference.digest_region`."""
    import hashlib

    check_region(offset, size)
    state = hashlib.new(algorithm)
    hash_span(state.update, fd, offset, size)
    return state.hexdigest()


cdef int hash_span(object update, int fd, off_t position, off_t size) except -1:
    cdef off_t end = position + size
    cdef Py_ssize_t capacity = <Py_ssize_t>min(size, <off_t>BUFFER_SIZE)
    cdef char *buffer = allocate(<size_t>capacity)
    try:
        whole = PyMemoryView_FromMemory(buffer, capacity, PyBUF_READ)
        while end - position >= capacity > 0:
            fill(fd, buffer, <size_t>capacity, position)
            update(whole)
            position += capacity
            # the hash runs no Python code in which Ctrl-C could be seen
            PyErr_CheckSignals()
        if position < end:
            fill(fd, buffer, <size_t>(end - position), position)
            update(PyMemoryView_FromMemory(buffer, <Py_ssize_t>(end - position), PyBUF_READ))
    finally:
        free(buffer)
    return 0


def fingerprint_region(int fd, object offset, object size):
    """64 bits that say whether a local file has changed; see `_reference.fingerprint_region`."""
    import xxhash

    check_region(offset, size)
    state = xxhash.xxh3_64(size.to_bytes(8, "little"))
    if size <= SAMPLES * SAMPLE_SIZE:
        hash_span(state.update, fd, offset, size)
    else:
        sample_span(state.update, fd, offset, size)
    return state.intdigest()


cdef int sample_span(object update, int fd, off_t position, off_t size) except -1:
    cdef off_t last = size - SAMPLE_SIZE
    # last * number // (SAMPLES - 1), in steps that cannot overflow
    cdef off_t step = last // (SAMPLES - 1)
    cdef off_t rest = last % (SAMPLES - 1)
    cdef int per_buffer = BUFFER_SIZE // SAMPLE_SIZE
    cdef int number, slot
    cdef char *buffer = allocate(BUFFER_SIZE)
    try:
        whole = PyMemoryView_FromMemory(buffer, BUFFER_SIZE, PyBUF_READ)
        for number in range(SAMPLES):
            slot = number % per_buffer
            fill(
                fd,
                buffer + slot * SAMPLE_SIZE,
                SAMPLE_SIZE,
                position + step * number + rest * number // (SAMPLES - 1),
            )
            if slot == per_buffer - 1:
                update(whole)
    finally:
        free(buffer)
    return 0
