"""One word for each thing (docs/architecture.md has the glossary): what we no longer say, and how long a sentence may be."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.vocabulary import LONGEST_SENTENCE, RETIRED

# Where a retired word is the subject, or the name under which an earlier version wrote something.
EXCEPTIONS = {
    "CHANGELOG.md",
    "tests/helpers/vocabulary.py",
    "tests/storage/test_recorded_studies.py",
    "tests/test_documents.py",
}
FORMER_NAME = re.compile(r'"formerly": "\w+"')
SOURCES = ("orchestrator", "trainers", "search_spaces", "reports", "benchmarks", "tests")


@functools.cache
def texts() -> dict[str, str]:
    files = [path for top in SOURCES for path in (ROOT / top).rglob("*.py")]
    files += [
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.sbatch"),
        ROOT / "benchmarks" / "README.md",
    ]
    return {str(path.relative_to(ROOT)): path.read_text() for path in files}


def test_no_retired_word_is_used() -> None:
    assert texts().keys() >= EXCEPTIONS
    found = []
    for file in sorted(texts().keys() - EXCEPTIONS):
        for number, line in enumerate(texts()[file].splitlines(), 1):
            if RETIRED.search(FORMER_NAME.sub("", line)):
                found.append(f"{file}:{number}: {line.strip()}")
    assert found == []


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The texts that a file raises or says, with their lines; a value that is put in counts as a word."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) or (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("say")):
            for part in ast.walk(node):
                if isinstance(part, ast.JoinedStr | ast.Constant):
                    text = flat(part)
                    if " " in text:
                        yield part.lineno, text


def flat(node: ast.AST) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(flat(value) for value in node.values)
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "VALUE"


@pytest.mark.parametrize("top", ["orchestrator", "trainers", "search_spaces", "reports"])
def test_messages_have_short_sentences(top: str) -> None:
    found = []
    for path in sorted((ROOT / top).rglob("*.py")):
        for line, text in messages(path):
            sentences = re.split(r"[.!?](?:\s|$)|\n", text)
            long = [sentence for sentence in sentences if len(sentence.split()) > LONGEST_SENTENCE]
            found += [f"{path.relative_to(ROOT)}:{line}: {sentence.strip()}" for sentence in long]
    assert not found
