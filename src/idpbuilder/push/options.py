"""What a user asks of a push, checked and with every default in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from idpbuilder.image import Platform, Reference
from idpbuilder.packing.method import Method
from idpbuilder.push.destination import Prefix
from idpbuilder.registry.credentials import Confide, confide_in_nobody

if TYPE_CHECKING:
    from idpbuilder.push.trace import Trace

DEFAULT_TIMEOUT = 300.0
DEFAULT_RETRIES = 10
RETRIES_LIMIT = 20
JOBS_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Order:
    """An image to push: `image` as a user named it, None for what was built last; to exactly `to`,
    or where its name says; of it the one `platform`. `line` names the line of a list that says so.
    """

    image: str | None
    to: tuple[Reference, ...] = ()
    platform: Platform | None = None
    line: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """The part `number`, from 1, of `count` parts that a list is split into."""

    number: int
    count: int


@dataclass(frozen=True, slots=True)
class PushOptions:
    """`timeout` in seconds for each destination, None without limit; `limit_rate` in bytes per
    second over all transfers, None without; `jobs` concurrent transfers per registry, None for as
    many as pay. `method` is how raw layers are packed, and with `all_layers` the packed ones too.
    `memory` says whether earlier runs are remembered, `resume` whether what they left half sent is
    gone on with; `all_tags` asks for every tag of the named repositories. `username` and `password`
    come from flags and variables, each None where neither names it. `listed` are the images of a
    list; with `keep_going` one that fails does not stop the others. Of all images a `shard` is
    pushed, None for all. `confide` is told whatever else turns out to be secret, `trace` where the
    time goes.
    """

    images: tuple[str, ...] = ()
    listed: tuple[Order, ...] = ()
    to: tuple[Reference, ...] = ()
    prefix: Prefix | None = None
    platform: Platform | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    authfile: str | None = None
    cert_dir: str | None = None
    insecure: bool = False
    timeout: float | None = DEFAULT_TIMEOUT
    retries: int = DEFAULT_RETRIES
    jobs: int | None = None
    limit_rate: int | None = None
    method: Method = field(default_factory=Method.choose)
    all_layers: bool = False
    memory: bool = True
    resume: bool = True
    all_tags: bool = False
    dry_run: bool = False
    verify: bool = False
    keep_going: bool = False
    shard: Shard | None = None
    confide: Confide = field(default=confide_in_nobody, repr=False, compare=False)
    trace: Trace | None = field(default=None, repr=False, compare=False)

    @property
    def orders(self) -> tuple[Order, ...]:
        """All that is to be pushed: the images that were named, then the listed ones."""
        named = tuple(Order(image, self.to, self.platform) for image in self.images)
        return (*named, *self.listed) or (Order(None, self.to, self.platform),)
