"""What stands in the store, as JSON: the mark of an event that is running, or the answer to one that is done."""

from __future__ import annotations

from base64 import b64decode, b64encode

from werkzeug.wrappers import Response as HTTPResponse

from ..errors import OnceStoreError
from ..messages import Answer, from_wsgi
from ..wire_json import read_json, write_json


def encode_mark(token: str) -> bytes:
    """Write the mark of an event that is running; the token tells one delivery's from another's."""
    return write_json({"running": token})


def encode_answer(answer: Answer) -> bytes:
    """Write an answer."""
    return write_json({"status": answer.status, "headers": answer.headers, "body": b64encode(answer.body).decode()})


def decode_answer(held: bytes) -> Answer | None:
    """Read what :func:`encode_answer` wrote; ``None`` where a mark stands.

    :raises OnceStoreError: if it is neither.
    """
    try:
        values = read_json(held)
        if "running" in values:
            return None
        headers = [(name, value) for name, value in values["headers"]]
        return Answer(values["status"], headers, b64decode(values["body"], validate=True))
    except (ValueError, TypeError, KeyError) as error:
        raise OnceStoreError("The store holds something else in an event's place.") from error


def copy_answer(answer: Answer | HTTPResponse) -> Answer:
    """What is remembered of an answer. A response of the handler's own is read to its end for that."""
    if isinstance(answer, Answer):
        return answer
    # One that is streamed has its length only now, and an error in its stream is an error of the handler.
    answer.direct_passthrough = False
    body = answer.get_data()
    # The length of the body is said by whatever sends it.
    headers = [(name, from_wsgi(value)) for name, value in answer.headers if name.lower() != "content-length"]
    return Answer(answer.status_code, headers, body)
