"""Push container images to any OCI registry.

`push_images` does what the command `idpbuilder push` does. Nothing is loaded before it is used.
"""

__version__ = "0.1.0"

# what type checkers take for true; the module that has it would have to be loaded
TYPE_CHECKING = False
if TYPE_CHECKING:
    from idpbuilder import errors
    from idpbuilder.errors import PushError, UsageError
    from idpbuilder.library.images import Image, push_images, raise_first_failure
    from idpbuilder.push.events import (
        Chosen,
        ConfigEnded,
        Event,
        LayerEnded,
        ManifestEnded,
        Note,
        Progress,
        PushStarted,
        RunEnded,
        RunStarted,
        Standing,
        Warned,
    )
    from idpbuilder.push.result import BlobStatus, LayerResult, PushFailure, PushResult
else:

    def __getattr__(name):
        from importlib import import_module

        if name == "errors":
            return import_module("idpbuilder.errors")
        if name in __all__:
            for home in ("errors", "push.result", "push.events", "library.images"):
                module = import_module(f"idpbuilder.{home}")
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module `idpbuilder` has no attribute `{name}`", name=name)


__all__ = [
    "BlobStatus",
    "Chosen",
    "ConfigEnded",
    "Event",
    "Image",
    "LayerEnded",
    "LayerResult",
    "ManifestEnded",
    "Note",
    "Progress",
    "PushError",
    "PushFailure",
    "PushResult",
    "PushStarted",
    "RunEnded",
    "RunStarted",
    "Standing",
    "UsageError",
    "Warned",
    "errors",
    "push_images",
    "raise_first_failure",
]


def __dir__() -> list[str]:
    return sorted((*__all__, "__version__"))
