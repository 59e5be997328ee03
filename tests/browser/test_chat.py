"""The sample app's chat in a real browser, through the emulator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_webpubsub.emulator import RunningEmulator
from tests.browser.person import Person

Visit = Callable[..., Person]

#: What Chromium notes of an answer that refuses, and of a WebSocket that can not be opened.
REFUSED = r"status of 4\d\d"
NO_WEBSOCKET = "WebSocket connection to .* failed"

BACK = "You are back. What was said meanwhile is not shown."


def lose(service: RunningEmulator, user_id: str) -> None:
    """Break a person's connection, and let nobody connect until further notice."""
    connected = [event for event in service.events.named("connect") if event.user_id == user_id]
    service.faults.refuse(503, times=None)
    service.faults.cut(connected[-1].connection_id)


class TestTwoPeople:
    def test_see_what_the_other_says_in_order(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.say("Hello Bea")
        bea.sees("Hello Bea")
        bea.say("Hello Ann")
        ann.sees("Hello Ann")
        ann.say("How are you?")
        bea.sees("How are you?")
        assert ann.texts() == bea.texts() == ["Hello Bea", "Hello Ann", "How are you?"]
        assert ann.log.locator(".own .text").all_inner_texts() == ["Hello Bea", "How are you?"]
        assert bea.log.locator(".message:not(.own) .author").first.inner_text() == "Ann"
        assert bea.log.locator(".message time").first.get_attribute("datetime")

    def test_see_who_comes_and_goes(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.sees("Bea joined")
        assert ann.online() == bea.online() == ["Ann", "Bea"]
        bea.page.get_by_role("button", name="Leave").click()
        ann.sees("Bea left")
        assert ann.online() == ["Ann"]
        assert bea.page.get_by_role("heading", name="Come in").is_visible()

    def test_see_when_one_closes_the_window(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.sees("Bea joined")
        bea.page.close()
        ann.sees("Bea left")

    def test_see_who_is_typing_and_not_when_it_is_sent(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        bea.composer.press_sequentially("Scones?")
        ann.page.get_by_text("Bea is typing").wait_for()
        assert bea.page.get_by_text("is typing").count() == 0
        bea.composer.press("Enter")
        ann.sees("Scones?")
        assert not ann.page.get_by_text("Bea is typing").is_visible()

    def test_hear_nothing_of_another_room(self, visit: Visit) -> None:
        ann, bea, carl = visit().join("Ann"), visit().join("Bea"), visit().join("Carl", "music")
        carl.say("La la la")
        carl.sees("La la la")
        ann.say("Tea?")
        bea.sees("Tea?")
        assert ann.texts() == bea.texts() == ["Tea?"]
        assert ann.notes() == ["You are in lobby. Say hello!", "Bea joined"]
        assert carl.online() == ["Carl"]

    def test_who_comes_later_sees_what_is_said_from_then_on(self, visit: Visit) -> None:
        ann = visit().join("Ann")
        ann.say("Early")
        ann.sees("Early")
        bea = visit().join("Bea")
        ann.say("Late")
        bea.sees("Late")
        assert bea.texts() == ["Late"]

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("<script>window.broken = true</script>", id="a script"),
            pytest.param("<img src=x onerror='window.broken = true'>", id="an image"),
            pytest.param("🫖👩‍👩‍👧 e\u0301 שלום", id="emoji and another direction"),
            pytest.param("one\ntwo   three", id="lines and blanks"),
        ],
    )
    def test_see_any_text_as_text(self, visit: Visit, text: str) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.say(text)
        for person in (ann, bea):
            person.log.locator(".text").wait_for()
            assert person.log.locator(".text").evaluate("element => element.textContent") == text
            assert person.log.locator(".text *").count() == 0
            assert person.page.evaluate("window.broken === undefined")


class TestRefusal:
    @pytest.mark.parametrize(
        ("name", "room", "message", "field"),
        [
            pytest.param("Ann", "lobby", "Somebody in lobby is called Ann already", "name", id="a name that is taken"),
            pytest.param("ANN", "lobby", "Somebody in lobby is called ANN already", "name", id="one that looks alike"),
            pytest.param("Admin", "lobby", "The name Admin is reserved", "name", id="a reserved name"),
            pytest.param("", "lobby", "A name has 1 to 24 letters", "name", id="no name"),
            pytest.param("<b>", "lobby", "A name has 1 to 24 letters", "name", id="markup"),
            pytest.param("Bea", "Tea Time!", "A room has 1 to 32 small letters", "room-name", id="a wrong room"),
        ],
    )
    def test_says_why_at_the_field_and_lets_try_again(
        self, visit: Visit, name: str, room: str, message: str, field: str
    ) -> None:
        visit().join("Ann")
        other = visit()
        other.expect_failures(REFUSED)
        other.ask_to_join(name, room)
        other.page.get_by_role("alert").get_by_text(message).wait_for()
        assert other.focused() == field
        assert other.page.locator("[aria-invalid=true]").get_attribute("id") == field
        other.join("Bea")
        assert other.online() == ["Ann", "Bea"]

    def test_a_name_may_be_had_once_in_each_room(self, visit: Visit) -> None:
        visit().join("Ann", "lobby")
        visit().join("Ann", "music")

    def test_a_name_is_free_when_who_had_it_left(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.page.get_by_role("button", name="Leave").click()
        bea.sees("Ann left")
        ann.join("Ann")
        bea.sees("Ann joined")
        assert ann.notes() == ["You are in lobby. Say hello!"]

    def test_an_app_that_does_not_answer_is_said_too(self, visit: Visit) -> None:
        ann = visit()
        ann.expect_failures("net::ERR")
        ann.page.route("**/negotiate", lambda route: route.abort())
        ann.ask_to_join("Ann")
        ann.page.get_by_role("alert").get_by_text("The chat can not be reached").wait_for()
        ann.page.unroute("**/negotiate")
        ann.join("Ann")


class TestLostConnection:
    def test_comes_back_with_all_that_was_typed_and_said_meanwhile(
        self, visit: Visit, service: RunningEmulator
    ) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.expect_failures(NO_WEBSOCKET)
        lose(service, "Ann")
        ann.banner.wait_for()
        ann.say("Sent while I was away")
        ann.composer.fill("Half a sentence")
        bea.say("Said while you were away")
        bea.sees("Said while you were away")
        assert ann.texts() == ["Sent while I was away"]
        service.faults.clear()
        ann.banner.wait_for(state="hidden")
        ann.sees("Said while you were away")
        bea.sees("Sent while I was away")
        assert ann.composer.input_value() == "Half a sentence"
        ann.composer.press("Enter")
        bea.sees("Half a sentence")
        bea.say("Welcome back")
        ann.sees("Welcome back")
        assert bea.texts() == ["Said while you were away", "Sent while I was away", "Half a sentence", "Welcome back"]
        assert sorted(ann.texts()) == sorted(bea.texts())
        # It was the same connection all the time: nobody was told of anything.
        assert bea.notes() == ["You are in lobby. Say hello!"]
        assert ann.page.get_by_text("Sending").count() == 0

    def test_comes_back_anew_when_the_service_has_forgotten_it(self, visit: Visit, service: RunningEmulator) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.expect_failures(NO_WEBSOCKET)
        lose(service, "Ann")
        ann.banner.wait_for()
        ann.say("Anybody there?")
        service.events.wait_for("disconnected")
        bea.sees("Ann left")
        assert bea.online() == ["Bea"]
        service.faults.clear()
        ann.page.get_by_role("button", name="Try now").click()
        ann.banner.wait_for(state="hidden")
        ann.sees(BACK)
        bea.sees("Ann joined")
        bea.sees("Anybody there?")
        assert ann.texts() == bea.texts() == ["Anybody there?"]
        assert ann.online() == bea.online() == ["Ann", "Bea"]

    def test_a_name_that_was_taken_meanwhile_is_said_and_nothing_is_lost(
        self, visit: Visit, service: RunningEmulator
    ) -> None:
        ann = visit().join("Ann")
        ann.expect_failures(f"{NO_WEBSOCKET}|{REFUSED}")
        lose(service, "Ann")
        ann.banner.wait_for()
        ann.say("Hello?")
        ann.composer.fill("Half a sentence")
        # Nobody can come in before the service lets connect again: Ann is made to wait longer than that.
        ann.page.route("**/negotiate", lambda route: route.abort())
        ann.expect_failures("net::ERR")
        service.events.wait_for("disconnected")
        service.faults.clear()
        other = visit().join("Ann")
        ann.page.unroute("**/negotiate")
        ann.page.get_by_role("alert").get_by_text("called Ann already").wait_for()
        ann.ask_to_join("Anna")
        other.sees("Anna joined")
        assert ann.composer.input_value() == "Half a sentence"
        ann.page.get_by_role("button", name="Send again").click()
        other.sees("Hello?")
        assert other.log.locator(".author").inner_text() == "Anna"

    def test_a_message_that_the_app_fails_can_be_sent_again(self, visit: Visit, service: RunningEmulator) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        service.faults.fail(500, "message")
        ann.say("Hello")
        ann.page.get_by_text("Not sent.").wait_for()
        assert bea.texts() == []
        ann.page.get_by_role("button", name="Send again").click()
        bea.sees("Hello")
        ann.page.get_by_text("Not sent.").wait_for(state="hidden")
        assert ann.texts() == bea.texts() == ["Hello"]


class TestTab:
    def test_a_reload_keeps_the_place_the_history_and_the_draft(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann", "tea-time"), visit().join("Bea", "tea-time")
        ann.say("Before")
        bea.sees("Before")
        ann.composer.press_sequentially("A draft")
        ann.page.reload()
        bea.sees("Ann joined")
        bea.say("After")
        ann.sees("After")
        assert ann.texts() == ["Before", "After"]
        assert ann.notes() == ["You are in tea-time. Say hello!", "Bea joined", BACK]
        assert ann.composer.input_value() == "A draft"
        assert ann.online() == bea.online() == ["Ann", "Bea"]

    def test_a_second_tab_takes_the_place_of_the_first(self, visit: Visit) -> None:
        ann, bea = visit().join("Ann"), visit().join("Bea")
        ann.say("From the first tab")
        bea.sees("From the first tab")
        with ann.page.expect_popup() as opened:
            # As "Duplicate tab" does, this copies what the tab remembers.
            ann.page.evaluate("url => { window.open(url); }", ann.url)
        ann.page.get_by_role("alert").get_by_text("in another tab").wait_for()
        second = opened.value
        second.get_by_label("Your message").fill("From the second tab")
        second.get_by_label("Your message").press("Enter")
        bea.sees("From the second tab")
        assert bea.online() == ["Ann", "Bea"]

    def test_the_address_of_a_room_leads_into_it(self, visit: Visit) -> None:
        ann = visit().join("Ann", "tea-time")
        bea = visit()
        bea.page.goto(ann.page.url)
        assert bea.page.get_by_label("Room").input_value() == "tea-time"


class TestEverybody:
    def test_can_do_all_with_the_keyboard(self, visit: Visit) -> None:
        bea = visit().join("Bea")
        ann = visit()
        keyboard = ann.page.keyboard
        assert ann.focused() == "name"
        keyboard.type("Ann")
        keyboard.press("Tab")
        assert ann.focused() == "room-name"
        keyboard.press("Enter")
        ann.sees("You are in lobby")
        assert ann.focused() == "text"
        keyboard.type("One")
        keyboard.press("Shift+Enter")
        keyboard.type("Two")
        keyboard.press("Enter")
        bea.sees("One\nTwo")
        assert ann.focused() == "text"
        keyboard.press("Shift+Tab")
        assert ann.focused() == "scroller"
        keyboard.press("Shift+Tab")
        assert ann.focused() == "leave"
        keyboard.press("Enter")
        bea.sees("Ann left")
        assert ann.focused() == "name"

    def test_can_open_and_close_the_list_of_people_on_a_phone(self, visit: Visit) -> None:
        ann = visit(390, 844).join("Ann")
        toggle = ann.page.get_by_role("button", name="1 online")
        people = ann.page.get_by_role("complementary", name="Online")
        assert people.count() == 0
        toggle.press("Enter")
        assert people.get_by_text("Ann").is_visible()
        assert toggle.get_attribute("aria-expanded") == "true"
        ann.page.keyboard.press("Escape")
        assert people.count() == 0
        assert ann.focused() == "people-toggle"

    @pytest.mark.parametrize("width", [320, 390, 1280])
    def test_never_has_to_scroll_sideways(self, visit: Visit, width: int) -> None:
        ann = visit(width, 640)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert ann.page.evaluate(overflow) == 0
        ann.join("A" * 24, "r" * 32)
        ann.say("w" * 400)
        ann.sees("www")
        assert ann.page.evaluate(overflow) == 0
        box = ann.page.get_by_role("button", name="Send").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 640

    def test_stays_where_they_read_until_they_go_to_the_end(self, visit: Visit) -> None:
        ann, bea = visit(1280, 420).join("Ann"), visit().join("Bea")
        for number in range(12):
            ann.say(f"Line {number}.")
        bea.sees("Line 11.")
        ann.page.locator("#scroller").evaluate("element => element.scrollTop = 0")
        bea.say("Something new")
        ann.sees("Something new")
        assert ann.page.locator("#scroller").evaluate("element => element.scrollTop") == 0
        ann.page.get_by_role("button", name="New messages").click()
        assert ann.page.locator("#scroller").evaluate("element => element.scrollTop") > 0
        assert ann.page.get_by_role("button", name="New messages").count() == 0
