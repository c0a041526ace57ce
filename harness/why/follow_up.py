"""Suggest the next command after an answer: the question with one thing changed."""

import re
from dataclasses import replace

from harness.why.answer import Answer, Question
from harness.why.players import GROUPS, format_value, get_value


def follow_up(question: Question, answer: Answer, words: list[str]) -> list[str]:
    """Return the arguments of the next command, or an empty list if there is nothing to suggest.

    Without a gap the next command has more replicas; otherwise B gets A's value of the setting with
    the largest part.
    """
    if not answer.divided:
        more = [f"replicas={2 * question.a.replicas}"] if question.players else []
    elif len(question.players) == 1 and replace(question, players=[]).identical:
        more = []  # the sides would be equal
    else:
        largest = question.players[answer.first.ranked()[0]]
        keys = [key for key in largest.keys if key not in GROUPS]
        more = [f"b.{key}={format_value(get_value(question.a, key))}" for key in keys]
    return replaced([word for word in words if word != "--"], more) if more else []


def replaced(words: list[str], more: list[str]) -> list[str]:
    """Return `words` and `more`, without words whose keys `more` sets again."""
    keys = {override.partition("=")[0] for override in more}
    return [w for w in words if re.sub(r"^\+{0,2}|=.*", "", w) not in keys] + more
