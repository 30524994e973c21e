# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Which test proves which normative statement of MQTT 3.1.1: the statements named in the docstrings of the tests,
against the list in statements.txt."""

import os
import re

from .build import HERE

STATEMENT = re.compile(r"\[(MQTT-\d+\.\d+\.\d+-\d+)\]")


def load():
    """[(statement, side, text)] in the order of the standard; side is `server`, `client` or `other`."""
    with open(os.path.join(HERE, "statements.txt")) as lines:
        return [tuple(line.rstrip("\n").split(None, 2)) for line in lines if line.strip() and line[0] != "#"]


def proved(tests):
    """Statement -> names of the tests, from (name, docstring) pairs. A statement that does not exist is an error."""
    known = {statement for statement, _, _ in load()}
    found = {}
    for name, doc in tests:
        for statement in STATEMENT.findall(doc or ""):
            if statement not in known:
                raise SystemExit(f"{name} names {statement}, which is not in statements.txt")
            found.setdefault(statement, []).append(name)
    return found


def table(tests):
    """The table as Markdown."""
    found = proved(tests)
    rows = ["| statement | what it asks (in short) | proved by |", "|---|---|---|"]
    missing = 0
    for statement, side, text in load():
        names = ", ".join(f"`{name}`" for name in found.get(statement, ()))
        if not names:
            missing += side == "server"
            names = {"server": "**no test**", "client": "rule for clients", "other": "not applicable"}[side]
        rows.append(f"| {statement} | {text} | {names} |")
    asked = sum(side == "server" for _, side, _ in load())
    rows += ["", f"{asked - missing} of {asked} statements for servers are proved by a test."]
    return "\n".join(rows)
