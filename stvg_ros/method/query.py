# SPDX-License-Identifier: Apache-2.0

"""Decomposition of the query into attribute and action (paper, section 4.2), and the questions."""

from __future__ import annotations

import http.client
import json
import re
import urllib.request

from stvg_ros.method.interfaces import Mllm
from stvg_ros.types import SplitQuery

NEUTRAL = "Describe this video in details."

_MOST_BYTES = 2**20  # of an endpoint's answer
_BAD_ANSWERS = (
    OSError,  # time-outs, refused connections, error statuses
    http.client.HTTPException,
    ValueError,  # no JSON, no URL
    KeyError,
    IndexError,
    TypeError,
    RecursionError,
)

_ADDRESS = re.compile(
    r"^(?:(?:hey|hi|ok|okay|hello|please|now|robot|and|then|can|could|would|will|you|kindly|"
    r"i|want|need|to|like|go|let's|let|us)[\s,]+)*"
    r"(?:find|look\s+(?:for|at)|search\s+for|locate|where\s+is|where's|where\s+are|show(?:\s+me)?|"
    r"bring\s+me(?:\s+to)?|take\s+me\s+to|point\s+(?:at|to)|follow|track|detect|spot|identify|"
    r"watch|see|go\s+to|get|tell\s+me\s+where|give\s+me)\s+(?:me\s+)?",
    re.IGNORECASE,
)
_POLITE_END = re.compile(r"[\s,]*(?:please|for me|thanks|thank you|now)\s*$", re.IGNORECASE)
_ARTICLE = r"(?:the|a|an|that|this|another|some|any)"
_NOUN = re.compile(
    rf"^(?:{_ARTICLE}\s+)?(?:[\w'-]+\s+){{0,3}}?"
    r"(?:person|persons|people|man|woman|boy|girl|child|kid|baby|guy|lady|adult|player|worker|"
    r"someone|somebody|one|dog|cat|animal|robot|car|bicycle|bike|horse|bird|object|thing|box|ball)\b",
    re.IGNORECASE,
)
_WHO = re.compile(r"\b(?:who|that|which)\s+(?:is|are|was|were)?\s*", re.IGNORECASE)
# Third person verbs that begin an action when no relative pronoun does.
_VERB = re.compile(
    r"\b(?:is|are|was|were)\s+(?=\w+ing\b)|"
    r"\b(?!(?:glasses|jeans|clothes|trousers|shoes|pants|dress|shorts|stripes|sunglasses|sleeves|"
    r"gloves|always|boots|sneakers|overalls|headphones|this|his|hers|its|is|was|has|as|us|bus|"
    r"grass|tress|class|across|towards|upstairs|downstairs|stairs|steps|hands|arms|us|plus)\b)"
    r"(?:[a-z]{2,}(?:[^su\W]s|[^s\W]es))\b",
    re.IGNORECASE,
)
_ING = re.compile(
    r"\b(?!(?:wearing|holding|carrying|having|clothing|"
    r"standing(?!\s+(?:still|without|motionless))|morning|evening|building|ceiling|"
    r"painting|striking|interesting|king|ring|string|thing|something)\b)[a-z]{2,}ing\b",
    re.IGNORECASE,
)

_SYSTEM = (
    "You split a description of a target in a video. Reply with one JSON object with the keys "
    '"attribute" (who or what it is: looks, clothes, place; no action) and "action" (what it '
    "does; no looks). Copy the words of the description. No other text."
)
_EXAMPLES = (
    (
        "The man in purple clothes takes a step forward and sits on the bench.",
        "the man in purple clothes",
        "The man takes a step forward and sits on the bench.",
    ),
    (
        "the girl with the long braid who hands over a letter and then turns around",
        "the girl with the long braid",
        "The girl hands over a letter and then turns around.",
    ),
    (
        "A tall worker beside the yellow forklift lifts a crate.",
        "a tall worker beside the yellow forklift",
        "A worker lifts a crate.",
    ),
)


def without_address(text: str) -> str:
    """The description alone: "Robot, please find the man in red." gives "the man in red"."""
    result = " ".join(text.split())
    result = _POLITE_END.sub("", result.rstrip(" .!?"))
    asked = re.match(r".*\bwhere\s+(?!is\b|are\b)(.+?)\s+(?:is|are)$", result, re.IGNORECASE)
    result = asked.group(1) if asked else _ADDRESS.sub("", result)
    result = result.strip(" ,.!?")
    return result or " ".join(text.split())


def question(text: str) -> str:
    """The prompt of the paper for a (sub-)query: "Is there {text} in this video?"."""
    body = text.strip().rstrip(" .!?")
    first = body.split(" ", 1)[0]
    if first.lower() in {"the", "a", "an", "someone", "somebody", "this", "that", "one", "any"}:
        body = first.lower() + body[len(first) :]
    return f"Is there {body} in this video?"


class WholeSplitter:
    """Splits nothing: both parts are Q itself, as without decomposition."""

    def split(self, text: str) -> SplitQuery:
        """Q three times; see `Splitter`."""
        query = without_address(text)
        return SplitQuery(query, query, query, "none")


class RuleSplitter:
    """Splits by grammar: the noun phrase up to the first verb, and the verb phrase after it."""

    def split(self, text: str) -> SplitQuery:
        """Q, Q_s and Q_t of a command; see `Splitter`."""
        query = without_address(text)
        attribute, action = _by_rules(query)
        return _checked(query, attribute, action, "rules")


def _by_rules(query: str) -> tuple[str, str]:
    sentence = re.split(r"(?<=[.!?;])\s+", query)[0].rstrip(" .!?;")
    rest = query[len(sentence) :].strip(" .!?;")
    noun = _NOUN.match(sentence)
    head = noun.end() if noun else 0
    who = _WHO.search(sentence, head)
    verb = _VERB.search(sentence, head)
    ing = _ING.search(sentence, head)
    cuts = [m.start() for m in (who, verb, ing) if m is not None]
    if not cuts:
        return sentence, ""
    cut = min(cuts)
    subject = sentence[:cut].strip(" ,")
    predicate = sentence[cut:].strip(" ,")
    predicate = re.sub(r"^(?:who|that|which)\s+", "", predicate, flags=re.IGNORECASE)
    if not subject or not predicate:
        return subject, predicate
    if not re.match(r"[a-z]+ing\b", predicate, re.IGNORECASE):
        relative = f"who {predicate}"
    else:
        relative = f"who is {predicate}"
    kind = noun.group(0).strip() if noun else "the one"
    # The kind alone, without adjectives: "the tall man" acts as "the man".
    words = kind.split()
    short = f"{words[0]} {words[-1]}" if len(words) > 1 else words[0]
    tail = f". {rest}" if rest else ""
    bare = subject.lower() in {short.lower(), kind.lower(), "whoever"} and len(words) <= 2
    return ("" if bare else subject), f"{short} {relative}{tail}"


class MllmSplitter:
    """The MLLM splits, by text alone, with in-context examples and strict JSON."""

    def __init__(self, mllm: Mllm) -> None:
        self._mllm = mllm

    def split(self, text: str) -> SplitQuery:
        """Q, Q_s and Q_t of a command; see `Splitter`."""
        query = without_address(text)
        shown = "\n".join(
            f"Description: {q}\n{json.dumps({'attribute': s, 'action': t})}"
            for q, s, t in _EXAMPLES
        )
        reply = self._mllm.complete(_SYSTEM, f"{shown}\nDescription: {query}\n", 160)
        return _checked(query, *_from_json(reply), "mllm")


class EndpointSplitter:
    """An OpenAI-compatible endpoint splits; a failure of any kind falls back to Q."""

    def __init__(self, url: str, model: str, timeout_s: float) -> None:
        self._url = url.rstrip("/") + "/chat/completions"
        self._model = model
        self._timeout_s = timeout_s

    def split(self, text: str) -> SplitQuery:
        """Q, Q_s and Q_t of a command; see `Splitter`."""
        query = without_address(text)
        messages = [{"role": "system", "content": _SYSTEM}]
        for example, attribute, action in _EXAMPLES:
            answer = json.dumps({"attribute": attribute, "action": action})
            messages += [
                {"role": "user", "content": example},
                {"role": "assistant", "content": answer},
            ]
        messages.append({"role": "user", "content": query})
        body = json.dumps({"model": self._model, "messages": messages, "temperature": 0})
        try:
            request = urllib.request.Request(
                self._url, body.encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                reply = json.loads(response.read(_MOST_BYTES))["choices"][0]["message"]["content"]
        except _BAD_ANSWERS:
            reply = ""
        return _checked(query, *_from_json(str(reply)), "endpoint")


def _from_json(reply: str) -> tuple[str, str]:
    """Attribute and action of the first JSON object in a reply; empty where it has none."""
    start = reply.find("{")
    if start < 0:
        return "", ""
    try:
        value, _ = json.JSONDecoder().raw_decode(reply[start:])
    except (ValueError, RecursionError):
        return "", ""
    parts = (value.get("attribute"), value.get("action"))
    attribute, action = (part if isinstance(part, str) else "" for part in parts)
    return attribute, action


def _checked(query: str, attribute: str, action: str, method: str) -> SplitQuery:
    """A part that is empty or far longer than Q is Q itself, and the result says so."""
    parts = {"attribute": " ".join(attribute.split()), "action": " ".join(action.split())}
    fallbacks = tuple(
        name for name, part in parts.items() if not part or len(part) > 2 * len(query) + 20
    )
    for name in fallbacks:
        parts[name] = query
    return SplitQuery(query, parts["attribute"], parts["action"], method, fallbacks)
