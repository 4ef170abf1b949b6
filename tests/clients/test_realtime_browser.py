"""OpenAI's Agents SDK in a real browser, over WebRTC, and somebody in front of it who speaks recordings."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import sync_playwright
from tests.clients.environments import ROOT
from tests.clients.recorder import Recorder, recorder, said
from tests.clients.sites import served
from tests.clients.talk import INTO_IT, alike, check_heard, check_taken
from tests.e2e.browser import FLAGS
from tests.e2e.conftest import CHROMIUM, needs_browser, script_wav
from tests.integration.people import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page
    from tests.clients.programs import Programs
    from tests.integration.people import Running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), needs_browser]
KEY = "a-key-of-the-test"
SAID = {
    "question": "What is the weather like today?",
    "nod": "uh huh",
    "interruption": INTO_IT,
}


@dataclass
class Site:
    """Pages from elsewhere, the browser that shows them, and the model that Parley asks."""

    url: str
    browser: Browser
    model: Recorder
    parley: Running
    start: Callable[[], contextlib.AbstractContextManager[Running]]
    """Starts another Parley for these pages."""


@dataclass
class Talk:
    """A page in which a call has begun."""

    page: Page
    model: Recorder

    def __call__(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def until(self, expression: str, seconds: float = 60) -> None:
        """Wait until it holds in the page."""
        deadline = time.monotonic() + seconds
        while not self(expression):
            seen = self("talk.events.map((event) => event.type).slice(-12).concat(talk.errors)")
            assert time.monotonic() < deadline, f"not true within {seconds:g} s: {expression}; last came {seen}"
            self.page.wait_for_timeout(50)

    def done(self, count: int) -> None:
        """Wait until so many responses are complete."""
        self.until(f"talk.of('response.done').length >= {count}")

    def ask(self, text: str) -> None:
        """A typed turn, and the response to it."""
        before: int = self("talk.of('response.done').length")
        self(f"talk.session.sendMessage('{text}')")
        self.done(before + 1)

    def mark(self) -> None:
        """From here on, :meth:`heard` is about what comes."""
        self("talk.energy().then((energy) => (talk.before = energy))")

    def hear_more(self) -> None:
        """Wait until more of the agent's voice has come: it speaks, or goes on."""
        self.mark()
        self.heard()

    def heard(self) -> None:
        """Wait until some of the agent's voice has come since the mark."""
        self.until("talk.energy().then((energy) => energy > talk.before + 0.001)")

    def told(self) -> list[tuple[str, str]]:
        """What the model was told last."""
        messages = self.model.messages()
        return [(message["role"], said(message).strip()) for message in messages if message["role"] != "system"]


@pytest.fixture(scope="module")
def site(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = programs.environments.node("node")
    shutil.copy(ROOT / "examples" / "openai_realtime" / "browser.html", folder)
    for name, text in SAID.items():
        script_wav(folder / f"{name}.wav", [(0, text)], 3)
    with contextlib.ExitStack() as stack:
        url, model = stack.enter_context(served(folder)), stack.enter_context(recorder())
        options = (
            f"server.api_key={KEY}", f'server.allowed_origins=["{url}"]', "webrtc.loopback=true",
            "llm.engine=openai", f"llm.openai.base_url={model.url}",
        )  # fmt: skip
        arguments = [part for option in options for part in ("--set", option)]

        def start() -> contextlib.AbstractContextManager[Running]:
            return running(tmp_path_factory.mktemp("parley"), *arguments)

        parley = stack.enter_context(start())
        chromium = stack.enter_context(sync_playwright()).chromium
        flags = (*FLAGS, "--use-fake-ui-for-media-stream")
        browser = chromium.launch(executable_path=CHROMIUM, headless=True, args=[*flags])
        stack.callback(browser.close)
        yield Site(url, browser, model, parley, start)


@contextlib.contextmanager
def calling(site: Site, parley: Running) -> Iterator[Talk]:
    """A page of its own, whose call has begun; nothing may have gone wrong in it at the end."""
    page = site.browser.new_page()
    try:
        page.goto(f"{site.url}/webrtc.html?{urlencode({'url': calls(parley), 'key': secret(parley)})}")
        talk = Talk(page, site.model)
        talk.until("window.talk && (talk.ready || talk.errors.length)")
        assert talk("talk.callId").startswith("rtc_")
        yield talk
        assert talk("talk.errors") == []
    finally:
        page.close()


@pytest.fixture
def talk(site: Site) -> Iterator[Talk]:
    with calling(site, site.parley) as it:
        yield it


def calls(parley: Running) -> str:
    return f"{parley.url}/v1/realtime/calls"


def secret(parley: Running) -> str:
    """A key of a browser's own."""
    made = f"{parley.url}/v1/realtime/client_secrets"
    answer = httpx.post(made, json={}, headers={"Authorization": f"Bearer {KEY}"})
    return str(answer.json()["value"])


def test_the_model_is_told_the_words_that_stand_in_the_history(talk: Talk) -> None:
    talk.mark()
    talk("talk.say('question')")
    talk.done(1)
    talk.heard()  # on a busy machine all of it may have come by now
    talk.until("(talk.history()[0] ?? ['', ''])[1]")
    role, heard = talk("talk.history()[0]")
    ((told_role, told),) = talk.told()
    assert (role, told_role) == ("user", "user")
    assert alike(told, heard)
    assert not talk("talk.of('response.output_audio.delta').length")  # sound comes by the track


def test_a_nod_does_not_end_the_reply_and_the_model_is_told_all_of_it(talk: Talk) -> None:
    count = "one two three four five six seven eight nine ten eleven twelve thirteen"
    talk(f"talk.session.sendMessage('{count}')")
    talk.hear_more()
    talk("talk.say('nod')")
    talk.hear_more()
    talk.done(1)
    talk.until("talk.of('output_audio_buffer.stopped').length")
    assert not talk("talk.of('input_audio_buffer.speech_started').length")
    talk.ask("Good morning")
    assert talk.told() == [("user", count), ("assistant", f"You said: {count}."), ("user", "Good morning")]


def test_who_takes_the_floor_is_told_what_was_heard_and_so_is_the_model(talk: Talk) -> None:
    talk("talk.session.sendMessage('Tell me a story')")
    talk.hear_more()
    talk.page.wait_for_timeout(2_000)  # as long as somebody listens
    talk("talk.say('interruption')")
    talk.done(1)
    assert talk("talk.of('response.done')[0].response.status_details.reason") == "turn_detected"
    assert talk("talk.of('input_audio_buffer.speech_started').length") == 1
    talk.until("talk.of('conversation.item.truncated').length")
    talk.done(2)
    told = talk.told()
    check_taken(told)
    # What the SDK believes was heard is what the model was told.
    assert talk("talk.history()[1]") == [*told[1]]


def test_a_reply_that_is_truncated_by_the_page_is_told_to_the_model_as_far_as_it_was_heard(talk: Talk) -> None:
    talk("talk.session.sendMessage('Tell me a story')")
    talk.hear_more()
    talk.page.wait_for_timeout(2_000)  # as long as somebody listens
    talk("talk.session.interrupt()")
    talk.until("talk.of('output_audio_buffer.cleared').length")
    talk.done(1)
    talk.ask("Go on")
    (_, (role, heard), *_) = talk.told()
    assert role == "assistant"
    check_heard(heard, 2, 30)


def test_a_function_is_called_in_the_page_and_its_result_is_told_to_the_model(talk: Talk) -> None:
    talk("talk.session.sendMessage('Use the tool, please')")
    talk.done(2)
    assert [role for role, _ in talk.told()] == ["user", "assistant", "tool"]
    assert "sunny in Rome" in talk.told()[-1][1]


def test_a_model_that_fails_ends_the_response_and_not_the_call(talk: Talk) -> None:
    talk.ask("Please fail")
    assert talk("talk.of('response.done')[0].response.status") == "failed"
    talk.ask("Good morning")
    assert talk("talk.of('response.done')[1].response.status") == "completed"
    told = talk.told()
    assert (told[0], told[-1]) == (("user", "Please fail"), ("user", "Good morning"))


def test_after_a_connection_that_broke_the_model_is_told_all_that_was_said(site: Site) -> None:
    with site.start() as first, calling(site, first) as talk:
        talk.ask("Good morning")
        talk.until("talk.history().length === 2")
        first.process.kill()
        talk.until("talk.state === 'disconnected'")
        talk(f"talk.again({{ url: '{calls(site.parley)}', key: '{secret(site.parley)}' }})")
        talk.ask("And good night")
        said = [("user", "Good morning"), ("assistant", "You said: Good morning."), ("user", "And good night")]
        assert talk.told() == said


def test_the_example_shows_what_is_said(site: Site) -> None:
    page = site.browser.new_page()
    given = urlencode({"url": site.parley.url, "key": secret(site.parley)})
    page.goto(f"{site.url}/browser.html?{given}")
    deadline = time.monotonic() + 60
    while not page.inner_text("#words"):
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)
    page.close()
