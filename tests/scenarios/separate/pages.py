"""The three deployment pages, read as a machine would: what to type, section by section."""

from __future__ import annotations

import re

from tests.source import ROOT

ROLES = ("grid", "bank", "coordinator")
KEYS, TRUST, CONFIGURATION, DATA, DRY_RUN, START, TRAIN, ROTATE = 2, 3, 4, 6, 7, 8, 9, 12

# What root types on a machine of its own, or on a cluster, and no scenario does; each line has a test of what it names, and
# where one is to be had, of the same step in the image.
OF_A_MACHINE = (
    r"useradd --system --uid 10001 --home-dir /srv/wattscore wattscore$",
    r"install -d -o wattscore -g wattscore -m 700 /srv/wattscore$",
    r"python3 -m venv /opt/wattscore$",
    r'cd "\$SOURCE" && /opt/wattscore/bin/python -m pip install -c constraints.txt \.$',
    r"ln -s /opt/wattscore/bin/wattscore /opt/wattscore/bin/[\w-]+ /usr/local/bin/$",
    r'cp "\$SOURCE"/deploy/\w+/[\w-]+\.service /etc/systemd/system/$',
    r"systemctl (?:enable --now|stop|start|restart) [\w-]+$",
    r"journalctl -u [\w-]+ --since today$",
    r"sudo -u wattscore (?:wattscore|[\w-]+-party) doctor --config /srv/wattscore/\w+\.toml$",
    r"rm certs/trust/acme-\w+\.pem$",
    r"kubectl ",
)


def of_a_machine(line: str) -> bool:
    return any(re.match(pattern, line) for pattern in OF_A_MACHINE)


def page(role: str, language: str = "en") -> str:
    name = "README.md" if language == "en" else "README.zh-CN.md"
    return (ROOT / "deploy" / role / name).read_text(encoding="utf-8")


def blocks(role: str, language: str = "en") -> dict[int, list[str]]:
    """The shell blocks of each numbered section."""
    sections = re.split(r"^## (\d+)\. .*$", page(role, language), flags=re.MULTILINE)[1:]
    return {
        int(number): re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for number, text in zip(sections[::2], sections[1::2], strict=True)
    }
