"""Whether a server that is told to end answers those whom it has begun to listen to."""

import contextlib
import http.client
import socket
from collections.abc import Sequence

from adapters.benchmarking.serving import questions
from adapters.benchmarking.serving.load import WrongAnswerError
from adapters.benchmarking.serving.questions import Question
from adapters.benchmarking.serving.server import Server

GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
SECONDS = 60  # that an answer or the end may take


def drained(server: Server, asked: Sequence[Question]) -> int:
    """Sends SIGTERM between the heads and the bodies of requests; how many are then answered: all.

    A head asks for leave to send its body, so that the server has begun each request when the
    signal comes. New connections are refused from then on.

    Raises WrongAnswerError, or ServerError unless the server ends by itself.
    """
    with contextlib.ExitStack() as stack:
        begun = []
        for question in asked:
            address = "127.0.0.1", server.port
            connection = stack.enter_context(socket.create_connection(address, SECONDS))
            head = (
                f"POST {question.path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
                f"Content-Length: {len(question.body)}\r\n\r\n"
            )
            connection.sendall(head.encode())
            got = connection.recv(len(GO_ON), socket.MSG_WAITALL)
            if got != GO_ON:
                raise WrongAnswerError(f"the server does not let a body come: {got!r}.")
            begun.append(connection)
        server.terminate()
        server.wait_until_closed(SECONDS)
        for question, connection in zip(asked, begun, strict=True):
            connection.sendall(question.body)
            response = http.client.HTTPResponse(connection, method="POST")
            response.begin()
            wrong = questions.mistake(question, response.status, response.read())
            if wrong is not None:
                raise WrongAnswerError(f"after SIGTERM: {wrong}")
    server.wait(SECONDS)
    return len(asked)
