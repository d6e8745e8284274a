"""CONTRIBUTING.md names files and commands that exist, and at most three files a task."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TASKS = dict(re.findall(r"^## (.*)\n\n((?:.+\n)+)", TEXT, re.MULTILINE))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_takes_at_most_three_files(task):
    steps = re.findall(r"^(\d)\. `([\w./-]+)`", TASKS[task], re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert 1 <= len(steps) <= 3
    assert len(steps) == len(re.findall(r"^\S", TASKS[task], re.MULTILINE)), "each step begins with its file"


def test_all_tasks_are_read():
    assert len(TASKS) == TEXT.count("\n## ") >= 5


@pytest.mark.parametrize(
    "path", sorted({path for path in re.findall(r"`([\w./-]+)`", TEXT) if re.search(r"/|\.(md|toml|yml)$", path)})
)
def test_what_it_names_exists(path):
    assert (ROOT / path).exists()


def test_the_commands_are_targets_of_the_makefile():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make (\w+)`", TEXT)) <= targets
