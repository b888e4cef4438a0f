"""Why a server refuses a request; `refusals` says with which status."""

from adapters.errors import ModelPatchError


class TooMuchError(ModelPatchError):
    """A body or an image beyond the limits."""


class TooSlowError(ModelPatchError):
    """A body that does not arrive."""


class InputsError(ModelPatchError):
    """What a request says beside the image is not what is asked for there."""


class FormError(ModelPatchError):
    """A form that is cut short, or without exactly one file."""


class MediaTypeError(ModelPatchError):
    """A file that came wrapped in something else: JSON, base64, gzip."""


class NoPictureError(ModelPatchError):
    """A picture is asked for of a task that answers in words or numbers."""


class HostError(ModelPatchError):
    """A server was asked under a name that is not its own."""


class OriginError(ModelPatchError):
    """A web page of another site asks."""


class ChangesOffError(ModelPatchError):
    """This server's tasks do not change."""


class TokenError(ModelPatchError):
    """Whoever asks for a change brings no token, or another one."""


class SignedPatchError(ModelPatchError):
    """Nothing that is unsigned takes a signed patch away."""
