"""What a load generator asks a server, and what has to come back.

Only the standard library: the generator's Python need not have this project installed.
"""

import dataclasses
import json
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

INDEX, BODIES = "questions.json", "bodies"  # files of a folder of questions
SHORTEST = 20  # characters of a message that says something


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a task's network says of an image.

    Attributes:
      task: which.
      label: the most likely class.
      logits: of every class.
      tolerance: how far a logit may be from these.
    """

    task: str
    label: str
    logits: Mapping[str, float]
    tolerance: float


@dataclasses.dataclass(frozen=True)
class Question:
    """One request.

    Attributes:
      kind: what statistics call it.
      path, method, headers, body: of the request.
      statuses: any of these has to come back; none, if the client does not wait for one.
      answer: what has to come back with 200.
      raw: whether `body` is all that is sent, on a connection of its own.
    """

    kind: str
    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    statuses: tuple[int, ...] = (200,)
    answer: Answer | None = None
    raw: bool = False


def write(folder: pathlib.Path, questions: Sequence[Question]) -> None:
    """Puts questions into an empty folder, each body once."""
    places: dict[bytes, tuple[int, int]] = {}
    records = []
    with open(folder / BODIES, "wb") as bodies:
        for question in questions:
            if question.body not in places:
                places[question.body] = bodies.tell(), len(question.body)
                bodies.write(question.body)
            record = {
                field.name: getattr(question, field.name) for field in dataclasses.fields(question)
            }
            answer = question.answer
            record["answer"] = None if answer is None else dataclasses.asdict(answer)
            records.append(record | {"body": places[question.body]})
    (folder / INDEX).write_text(json.dumps(records))


def read(folder: pathlib.Path) -> list[Question]:
    """The questions of a folder, in their order."""
    bodies = (folder / BODIES).read_bytes()
    cut: dict[tuple[int, int], bytes] = {}
    questions = []
    for record in json.loads((folder / INDEX).read_text()):
        start, length = place = tuple(record["body"])
        body = cut.setdefault(place, bodies[start : start + length])
        answer = None if record["answer"] is None else Answer(**record["answer"])
        changes = {"body": body, "answer": answer, "statuses": tuple(record["statuses"])}
        questions.append(Question(**record | changes))
    return questions


def mistake(question: Question, status: int, content: bytes) -> str | None:
    """What is wrong with a server's answer; None if nothing is."""
    if status not in question.statuses:
        wanted = " or ".join(map(str, question.statuses))
        return f"{question.kind}: status {status}, not {wanted}: {content[:200]!r}"
    said = None
    if status == 200 and question.answer is not None:
        said = _wrong(question.answer, content)
    elif status >= 400:
        said = _unsaid(content, json_only=not question.raw)
    return None if said is None else f"{question.kind}: {said}: {content[:200]!r}"


def _wrong(right: Answer, content: bytes) -> str | None:
    try:
        found = json.loads(content)
        task, answers = found["task"], found["answers"]
        logits = {one["label"]: one["logit"] for one in answers}
        shares = {one["label"]: one["probability"] for one in answers}
    except (ValueError, TypeError, KeyError) as error:
        return f"no answer ({error!r})"
    if task != right.task:
        return f"of {task}, not of {right.task}"
    if not answers or answers[0]["label"] != right.label:
        return f"not {right.label}"
    powers = {
        label: math.exp(logit - right.logits[right.label]) for label, logit in right.logits.items()
    }
    for label, logit in logits.items():
        if label not in powers or not abs(logit - right.logits[label]) <= right.tolerance:
            return f"the logit of {label} is not {right.logits.get(label)}"
        # A share changes by no greater part than exp(2 * tolerance) of itself.
        share = powers[label] / sum(powers.values())
        if not abs(math.log(shares[label] / share)) <= 2 * right.tolerance + 1e-6:
            return f"the probability of {label} is not {share}"
    return None


def _unsaid(content: bytes, *, json_only: bool) -> str | None:
    """Why a refusal says too little; a server that cannot read HTTP answers without JSON."""
    try:
        found: Any = json.loads(content)
        message = found["message"] if found["error"] else ""
    except (ValueError, TypeError, KeyError) as error:
        if json_only:
            return f"a refusal without words ({error!r})"
        message = content.decode("latin-1")
    return None if len(message) >= SHORTEST else "a refusal without words"
