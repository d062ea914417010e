"""What is measured, and what is to be reached: one row for each line of the table."""

from __future__ import annotations

from dataclasses import replace

from bench.parts.corpus import (
    ALIKE,
    BULK,
    IMAGES,
    LARGE,
    LAYERS,
    SIZES,
    SMALL,
    InEngine,
    Saved,
)
from bench.parts.row import Push, Row, Script, Series, StartUp
from bench.parts.targets import Target, beside, beside_best, marginal, multiple, ours, rise

FAR = 0.05
"""Seconds to a registry and back."""
ROUND_TRIPS = (0, 10, 25, 50, 100)
"""Milliseconds."""
LINEAR = 1.1
"""What repeated runs differ by is no growth."""
PASS = 13
"""Milliseconds of CPU that `python -c pass` took where the budgets of start-up were set."""

_small = Push(
    "small-far",
    "60 layers of 100 kB, TLS, RTT 50 ms",
    SMALL,
    "distribution",
    ("crane",),
    (Target("time beside crane", beside("crane"), 0.18, 0.14),),
    round_trip=FAR,
)
_large = Push(
    "large-far",
    "142 MB in 3 layers, TLS, RTT 50 ms",
    LARGE,
    "distribution",
    ("crane", "skopeo"),
    (
        Target("time beside skopeo", beside("skopeo"), 0.5),
        Target("time beside crane", beside("crane"), 0.15),
    ),
    round_trip=FAR,
)
_bulk = Push(
    "bulk-tls",
    "1.6 GB to a null registry, TLS",
    BULK,
    peers=("crane",),
    targets=(
        Target("time beside crane", beside("crane"), 0.70, 0.5),
        Target("CPU per GB beside crane", beside("crane", "cpu_per_gb"), 1.0),
        Target("peak memory", ours("memory"), 48, digits=1, unit="MiB"),
    ),
)
_again = Push(
    "again-far",
    "142 MB, unchanged, again, TLS, RTT 50 ms",
    LARGE,
    "distribution",
    targets=(Target("round trips", ours("round_trips"), 5, digits=1),),
    round_trip=FAR,
    again=True,
    rounds=5,
)
_many = Push(
    "many-far",
    "300 images of 50 kB, null registry, TLS, RTT 50 ms; crane: 20 in a loop, times 15",
    IMAGES[300],
    peers=("crane",),
    targets=(Target("time beside crane", beside("crane"), 0.05),),
    round_trip=FAR,
    looped=20,
    rounds=2,
)
_saved = Push(
    "saved", "`docker save` archive, first push", Saved(), "distribution-plain", rounds=5, long=True
)

ROWS: tuple[Row, ...] = (
    _small,
    # where the registry takes no time, what remains is round trips
    replace(
        _small,
        name="small-trips",
        work="60 layers of 100 kB to a null registry, TLS, RTT 50 ms",
        registry="null",
        peers=(),
        targets=(Target("round trips", ours("round_trips"), 10, digits=1),),
        rounds=5,
    ),
    _large,
    _bulk,
    replace(
        _bulk,
        name="bulk-plain",
        work="1.6 GB to a null registry, plain HTTP",
        registry="null-plain",
        targets=(Target("time beside crane", beside("crane"), 1.3),),
    ),
    Push(
        "large-near",
        "142 MB in 3 layers to Distribution, TLS",
        LARGE,
        "distribution",
        ("crane", "skopeo"),
        (Target("time beside the best peer", beside_best(), 1.10),),
        rounds=5,
    ),
    Push(
        "bulk-near",
        "1.6 GB in 3 layers to Distribution, TLS",
        BULK,
        "distribution",
        targets=(Target("time beside the best peer", beside_best(), 1.00),),
        long=True,
    ),
    _again,
    StartUp(
        "start-up",
        "start-up, CPU",
        (
            Target(
                "`idpbuilder --version` beside `python -c pass`",
                multiple("idpbuilder --version", "python -c pass"),
                60 / PASS,
            ),
            Target(
                "`push --help` beside `python -c pass`",
                multiple("push --help", "python -c pass"),
                90 / PASS,
            ),
        ),
    ),
    Series(
        "more-layers",
        "10, 100, 1,000 layers of 20 kB, null registry, TLS",
        "layers",
        {count: Push(f"{count}", "", image) for count, image in LAYERS.items()},
        targets=(
            Target("CPU of one layer more", marginal("cpu"), LINEAR),
            Target("requests for one layer more", marginal("requests"), LINEAR),
            Target("peak memory, 1,000 beside 10", rise("memory"), LINEAR),
        ),
    ),
    Series(
        "more-bytes",
        "0.1 to 10 GB in 4 layers, null registry, TLS",
        "GB",
        {size: Push(f"{size}", "", image) for size, image in SIZES.items()},
        short=(0.1, 0.5, 1),
        targets=(
            Target("CPU of one GB more", marginal("cpu"), LINEAR),
            Target("requests, largest beside smallest", rise("requests"), LINEAR),
            Target("peak memory, largest beside smallest", rise("memory"), LINEAR),
        ),
    ),
    Push(
        "many-alike",
        "30 images that share 100 MB, to Distribution, TLS; peers: in a loop",
        ALIKE,
        "distribution",
        ("crane", "skopeo"),
        (
            Target("time beside skopeo", beside("skopeo"), 0.35),
            Target("time beside crane", beside("crane"), 0.06),
        ),
        rounds=2,
    ),
    _many,
    replace(
        _many,
        name="many-far-whole",
        work="300 images of 50 kB, null registry, TLS, RTT 50 ms; crane: in a loop",
        looped=0,
        rounds=1,
        long=True,
    ),
    replace(
        _many,
        name="many-again",
        work="300 images, unchanged, again, null registry, TLS, RTT 50 ms",
        peers=(),
        targets=(Target("requests for an image", ours("requests_per_image"), 2),),
        again=True,
    ),
    Series(
        "more-images",
        "10, 100, 1,000 images of 50 kB, null registry, TLS",
        "images",
        {count: Push(f"{count}", "", IMAGES[count], files=True) for count in (10, 100, 1000)},
        targets=(
            Target("peak memory, 1,000 beside 10", rise("memory"), LINEAR),
            Target("open files, 1,000 beside 10", rise("files"), LINEAR),
        ),
    ),
    # -- without a target of their own
    replace(
        _again,
        name="again-far-small",
        work="60 layers, unchanged, again, TLS, RTT 50 ms",
        corpus=SMALL,
        long=True,
    ),
    Push(
        "large-uplink",
        "142 MB in 3 layers over 400 Mbit/s, TLS, RTT 50 ms",
        LARGE,
        round_trip=FAR,
        bandwidth=50_000_000,
        long=True,
    ),
    Push(
        "large-cold",
        "142 MB in 3 layers from the disk, null registry, TLS",
        LARGE,
        cold=True,
        rounds=5,
        long=True,
    ),
    Series(
        "small-distance",
        "60 layers of 100 kB to a null registry, TLS",
        "round trip in ms",
        {
            milliseconds: replace(_small, registry="null", round_trip=milliseconds / 1000)
            for milliseconds in ROUND_TRIPS
        },
        long=True,
    ),
    Series(
        "large-distance",
        "142 MB in 3 layers to a null registry, TLS",
        "round trip in ms",
        {
            milliseconds: replace(_large, registry="null", round_trip=milliseconds / 1000)
            for milliseconds in ROUND_TRIPS
        },
        long=True,
    ),
    _saved,
    replace(
        _saved,
        name="saved-again",
        work="`docker save` archive, unchanged, again, RTT 50 ms",
        round_trip=FAR,
        again=True,
    ),
    Push(
        "engine",
        "out of Docker's engine, first push",
        InEngine(),
        "distribution-plain",
        anew=True,
        long=True,
    ),
    Push(
        "engine-again",
        "out of Docker's engine, unchanged, again",
        InEngine(),
        "distribution-plain",
        again=True,
        long=True,
    ),
    Script("kernels", "each kernel beside the plain code that it replaces"),
    Script("packing", "formats and levels of packed layers"),
)
