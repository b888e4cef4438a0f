"""What a server answers to an image: JSON, or an indexed PNG where that is asked for."""

from starlette.responses import JSONResponse, Response

from adapters.indexed_png import indexed_png
from adapters.serving.contract import Predictions
from adapters.serving.errors import NoPictureError
from adapters.serving.network import Task
from adapters.view import View

PNG = "image/png"


def answered(
    task: Task, predictions: Predictions, view: View, accept: str | None, top: int
) -> Response:
    """The response to an image.

    Args:
      task: that was asked.
      predictions: of its head, of one image.
      view: how the network saw the image.
      accept: the header that says what the client reads: `image/png` alone asks for a picture.
      top: how many labels are told of a head that ranks them.

    Raises NoAnswerError, NoPictureError, or TooManyLabelsError.
    """
    head, contents = task.head, task.contents
    if accept is not None and accept.strip().lower() == PNG:
        if head.mask is None:
            raise NoPictureError(
                f"{contents.task} predicts {contents.head_kind}, which is no picture: ask for JSON."
            )
        mask = head.mask(contents.labels, predictions, view)
        return Response(indexed_png(mask, len(contents.labels)), media_type=PNG)
    rows = head.listed(contents.labels, predictions, view)
    return JSONResponse(
        {
            "task": contents.task,
            "version": contents.task_version,
            "image": {"width": view.width, "height": view.height},
            "answers": rows[:top] if head.ranked else rows,
        }
    )
