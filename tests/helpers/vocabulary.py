"""The words that are not used any more, each of which the glossary in docs/architecture.md replaces by a word of the field."""

import re

LONGEST_SENTENCE = 30  # words, in documents, help and messages

RETIRED = re.compile(
    r"\b(hir(e|es|ed|ing)|staff(ed)?|company|workforce|workplace|shelf|shelves|puts? by|put_by|worth|spoken|behind|suits|"
    r"prov(e|es|ed|en|ing)|its like|carr(y|ies|ied) on|burning|mend(ed|s)?|politely|nobody knows)\b",
    re.IGNORECASE,
)
