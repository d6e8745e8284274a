"""The lab's script in a real browser: a page of nothing else, read from the disk."""

import json
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from mvtheory.lab.script import FOLDER, script
from mvtheory.lab.setting import LabSetting, page


@pytest.fixture(scope="session")
def script_page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Page]:
    """Open a page that loads a script and has no lab; what it reports as an error is one."""
    folder = tmp_path_factory.mktemp("script")

    def opened(script: str) -> Page:
        name = f"page{len(list(folder.iterdir()))}"
        (folder / f"{name}.js").write_text(script, encoding="utf-8")
        (folder / f"{name}.html").write_text(f'<script src="{name}.js"></script>', encoding="utf-8")
        tab = browser.new_page()
        tab.goto((folder / f"{name}.html").as_uri())
        return tab

    return opened


@pytest.fixture
def open_lab(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Open a page with one lab."""
    contexts, errors = [], []

    def opened(
        setting: LabSetting = LabSetting(),
        *,
        hash: str = "",
        calm: bool = True,
        width: int = 1000,
        scheme: Literal["light", "dark"] = "light",
        **parts: list[str],
    ) -> Page:
        config = escape(json.dumps(page(setting, address=True, **parts)))
        file = tmp_path / "lab.html"
        (tmp_path / "lab.js").write_text(script(), encoding="utf-8")
        file.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f'<link rel="stylesheet" href="{(FOLDER / "lab.css").as_uri()}">'
            f'<script src="lab.js"></script><div data-lab="{config}"></div>',
            encoding="utf-8",
        )
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            reduced_motion="reduce" if calm else "no-preference",
            color_scheme=scheme,
        )
        context.set_default_timeout(60_000)  # a busy machine is slow, not wrong
        contexts.append(context)
        tab = context.new_page()
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(file.as_uri() + hash)
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert not errors
