"""What to type after an answer: the same question with one thing changed."""

import re
from dataclasses import replace

from harness.why.answer import Answer, Question
from harness.why.players import GROUPS, value, word


def follow_up(question: Question, answer: Answer, words: list[str]) -> list[str]:
    """The words of the next command: more replicas where there was no gap, or else the largest
    part taken away. Empty where neither could say anything new."""
    if not answer.divided:
        more = [f"replicas={2 * question.a.replicas}"] if question.players else []
    elif len(question.players) == 1 and replace(question, players=[]).identical:
        more = []  # the sides would be equal
    else:
        largest = question.players[answer.first.ranked()[0]]
        keys = [key for key in largest.keys if key not in GROUPS]
        more = [f"b.{key}={word(value(question.a, key))}" for key in keys]
    return replaced([word for word in words if word != "--"], more) if more else []


def replaced(words: list[str], more: list[str]) -> list[str]:
    """`words` with `more` at the end, without those that set the same and would be overruled."""
    keys = {each.partition("=")[0] for each in more}
    return [w for w in words if re.sub(r"^\+{0,2}|=.*", "", w) not in keys] + more
