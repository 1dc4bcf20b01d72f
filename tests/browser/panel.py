"""The widget as a person sees it: what it says, and its controls by their names."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from pages import NotebookPage

PIXELS = """canvas => {
    const { width, height } = canvas;
    if (!width || !height) return "";
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let sum = 0;
    for (let i = 0; i < data.length; i += 997) sum = (sum * 31 + data[i]) % 4294967291;
    return `${width}x${height} ${sum}`;
}"""


class Panel:
    """One view of the widget.

    Args:
        notebook: the page that it is on.
        index: which of the widgets there.
    """

    def __init__(self, notebook: NotebookPage, index: int = 0) -> None:
        self.notebook = notebook
        self.root = notebook.widgets.nth(index)

    def wait_for_video(self) -> None:
        """Until there is a picture."""
        self.root.wait_for()
        self.until_pixels_differ("")

    @property
    def canvas(self) -> Locator:
        return self.root.locator(".ov-video canvas")

    def pixels(self) -> str:
        """A sum over the picture that is shown; "" before the first."""
        return self.canvas.evaluate(PIXELS)

    def until_pixels_differ(self, before: str, seconds: float = 60) -> str:
        """Wait for another picture than ``before``; returns its sum."""
        for _ in range(round(seconds / 0.05)):
            if (now := self.pixels()) != before:
                return now
            self.notebook.page.wait_for_timeout(50)
        raise AssertionError(f"no new picture within {seconds} s")

    def pictures_within(self, seconds: float) -> int:
        """How many different pictures are shown in so many seconds."""
        shown = {self.pixels()}
        for _ in range(round(seconds / 0.04)):
            self.notebook.page.wait_for_timeout(40)
            shown.add(self.pixels())
        return len(shown)

    def button(self, name: str) -> Locator:
        """A button of the header."""
        header = self.root.locator(".ov-header")
        return header.get_by_role("button", name=name, exact=True)

    def tab(self, name: str) -> None:
        """Open a tab."""
        self.root.get_by_role("tab", name=name).click()

    @property
    def prompt(self) -> Locator:
        return self.root.get_by_role("textbox", name="Prompt")

    def apply_prompt(self, text: str) -> None:
        """Type a prompt and apply it by the keyboard."""
        self.prompt.fill(text)
        self.prompt.press("Control+Enter")

    def expect_state(self, state: str, seconds: float = 15) -> None:
        expect(self.root.locator(".ov-state")).to_have_text(state, timeout=seconds * 1000)

    @property
    def rows(self) -> Locator:
        """The rows that are in the document, in no order."""
        return self.root.locator(".ov-result")

    def expect_rows(self, at_least: int, seconds: float = 30) -> None:
        """Wait until so many rows have come."""
        self.notebook.page.wait_for_function(
            "([tally, least]) => parseInt(tally.textContent.replaceAll(',', '')) >= least",
            arg=[self.root.locator(".ov-tally").element_handle(), at_least],
            timeout=seconds * 1000,
        )

    def expect_row_with(self, text: str, seconds: float = 30) -> None:
        expect(self.rows.filter(has_text=text).first).to_be_visible(timeout=seconds * 1000)
