"""Reading the project's pages: code blocks, headings, tables, commands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator


def blocks(text: str, language: str = r"\w+") -> list[tuple[str, str]]:
    return re.findall(rf"^```({language})\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def plain(language: str, code: str) -> object:
    """A code block without its comments, which are translated."""
    if language == "toml":
        return tomllib.loads(code)
    return re.sub(r"\s+# .*", "", code) if language == "sh" else code


def headings(text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+) ", prose, re.MULTILINE)


def command_lines(text: str) -> Iterator[str]:
    for _, code in blocks(text, "sh"):
        yield from (line for line in re.sub(r"\s+# .*", "", code).splitlines() if line)


def rows(text: str) -> list[list[str]]:
    lines = re.findall(r"^\| ?(.*)\|$", text, re.MULTILINE)
    return [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)] for line in lines]


# Pages whose commands `tests/scenarios/end_to_end/test_pages.py` types, in this order: what comes later needs what came before.
TYPED = [
    "common/records/README.md", "deploy/README.md", "README.md", "common/trial/README.md", "common/stages/README.md",
    "bank_party/README.md", "grid_party/README.md", "deploy/MONTHLY.md",
]  # fmt: skip

# Commands of pages that it does not type, and what runs them: a file, and a word of it.
ELSEWHERE = [
    (r"make demo$", "tests/scenarios/end_to_end/test_demo.py", '"demo", "--out"'),
    (r"make (test|check)$", ".ci/run", "make test"),
    (r"make test-ray$", "Makefile", "pytest tests/scenarios/ray"),
    (r"wattscore features .* --ray ray.toml$", "tests/scenarios/ray/test_features.py", '"--ray", "ray.toml"'),
    (r"grid-party doctor .* --ray ray.toml$", "tests/scenarios/ray/test_features.py", '"--ray", "ray.toml", "--json"'),
    (r"docker compose ", "tests/deploy/test_compose.py", "demo.compose("),
    (r"python3 -m pip install \.$", "deploy/Dockerfile", "pip"),
    (r"grid-party (approve|deny) train-", "tests/scenarios/end_to_end/test_approval.py", '"grid", "approve", job'),
    (r"bank-party pipeline ", "tests/scenarios/end_to_end/test_pipeline.py", '"pipeline", str(self.file)'),
    (r"bank-party refill ", "tests/scenarios/online/conftest.py", '"refill", "--now"'),
    (r"bank-party shadow ", "tests/scenarios/online/test_online.py", '"shadow", "--json"'),
    (r"bank-party console ", "tests/scenarios/end_to_end/test_console.py", '"console"'),
    (r"grid-party grant ", "tests/scenarios/end_to_end/test_consent.py", '"grant"'),
    (r"python3 -m pip install --no-index ", "tests/deploy/test_offline.py", "--require-hashes"),
]


def typed_elsewhere(line: str) -> bool:
    return any(re.match(pattern, line) for pattern, _, _ in ELSEWHERE)
