"""The documents are written in plain, short sentences, use the project's words, and name folders and files that exist."""

import re
from collections.abc import Iterator

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.vocabulary import LONGEST_SENTENCE, RETIRED

DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "docs/architecture.md",
    "docs/cluster.md",
    "docs/decisions.md",
    "docs/guide.md",
    "docs/log.md",
    "docs/pruners.md",
    "docs/variables.md",
)


def prose(text: str) -> Iterator[str]:
    """Paragraphs and list items of a document, each in one line: without code blocks, tables, headings and comments."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    lines: list[str] = []
    in_item = False
    for line in [*text.splitlines(), ""]:
        item = re.match(r"\s*[-*] |\s*\d+\. ", line)
        code = line.startswith("    ") and not in_item and not item
        apart = not line.strip() or line.startswith("#") or line.lstrip().startswith("|") or code
        if (apart or item) and lines:
            yield " ".join(lines)
            lines = []
        if not apart:
            lines.append(line[item.end() :] if item else line.strip())
        in_item = bool(item) or (in_item and (line.startswith(" ") or not line.strip()))


def sentences(text: str) -> Iterator[str]:
    for paragraph in prose(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", paragraph)
        plain = re.sub(r"`[^`]*`", "code", plain)  # one word, whatever stands in it
        yield from re.split(r"(?<=[.?!])(?:\*\*|[)\"])* +", plain)


def tree(text: str) -> set[str]:
    """The folders of a tree that is drawn by indentation, "name/   a phrase"."""
    block = re.search(r"^```text\n(orchestrator/.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert block, "README.md has no tree"
    found, above = set(), ""
    for indent, name in re.findall(r"^( *)([\w-]+)/  ", block[1], flags=re.MULTILINE):
        above = above if indent else name
        found.add(f"{above}/{name}" if indent else name)
    return found


def packages() -> set[str]:
    """Folders with Python files, one or two deep, of what the wheel holds."""
    tops = ("orchestrator", "trainers", "search_spaces", "reports")
    folders = [path.parent for top in tops for path in (ROOT / top).rglob("__init__.py")]
    names = {folder.relative_to(ROOT).as_posix() for folder in folders}
    return {name for name in names if name.count("/") < 2}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_sentence_is_long(document: str) -> None:
    text = (ROOT / document).read_text()
    long = [sentence for sentence in sentences(text) if len(re.findall(r"\w[\w'’.,/×%-]*", sentence)) > LONGEST_SENTENCE]
    assert long == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_words_have_their_meaning(document: str) -> None:
    lines = re.sub(r"`[^`]*`", "", (ROOT / document).read_text()).splitlines()
    assert [line for line in lines if RETIRED.search(line)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_a_document_links_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert [target for target in targets if not (ROOT / document).parent.joinpath(target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text()
    named = re.findall(r"`((?:orchestrator|trainers|search_spaces|reports|tests)/[\w/.-]+)`", text)
    own = re.compile(r"/mine\.py$|/NAME\.py$")  # a reader's own
    assert [path for path in named if not own.search(path) and not (ROOT / path).exists()] == []


def test_the_readme_shows_every_folder() -> None:
    shown = tree((ROOT / "README.md").read_text())
    assert {name for name in shown if not (ROOT / name).is_dir()} == set()
    assert packages() - shown == set()


def test_a_long_sentence_and_a_banned_word_are_found() -> None:
    text = "# A title\n\n    code\n\n- one item\n  in two lines. And more\n\n| a | table |\n\n" + "word " * 31 + "end.\n"
    assert [len(sentence.split()) for sentence in sentences(text)] == [5, 2, 32]
    assert RETIRED.search("The worker was hired.")
    assert not RETIRED.search("Imports improve.")
