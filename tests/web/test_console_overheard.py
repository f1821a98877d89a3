"""What Eve hears of a session, for the pages of who talks: in the lab alone."""

from pathlib import Path

from tests.web.pages import console

from bellwire.console.views_chat import OverheardMessage

SESSION = "00000000-0000-4000-8000-000000000001"
HEARD = [
    OverheardMessage(7, "alice", "slots", 9000, b"\x00\x01"),
    OverheardMessage(8, "bob", "settings", 400, b"\x02"),
]


async def overhear(session: str, after: int) -> list[OverheardMessage]:
    return [each for each in HEARD if session == SESSION and each.number > after]


def test_who_talks_in_the_lab_sees_what_crossed_the_public_channel(tmp_path: Path) -> None:
    with console(tmp_path, overhear=overhear) as site:
        with site.signed_in(site.sites.tokens["alice@a"]) as page:
            path = f"/api/chat/overheard?session={SESSION}"
            found = page.get(path).json()["messages"]
            assert [each["phase"] for each in found] == ["slots", "settings"]
            assert found[0] == {
                "number": 7,
                "sender": "alice",
                "phase": "slots",
                "size": 9000,
                "beginning": "AAE=",
            }
            assert page.get(f"{path}&after=7").json()["messages"] == found[1:]
            assert page.get(path.replace("0001", "0002")).json() == {"messages": []}
            assert page.get("/api/chat/overheard").status_code == 400
            assert page.get("/api/chat/overheard?session=everything").status_code == 400
        with site.signed_in(site.sites.tokens["eyes"]) as auditor:
            assert auditor.get(path).status_code == 403  # they have no chat


def test_outside_the_lab_nothing_is_overheard_and_that_is_said(tmp_path: Path) -> None:
    with (
        console(tmp_path, lab=False) as site,
        site.signed_in(site.sites.tokens["alice@a"]) as page,
    ):
        refused = page.get(f"/api/chat/overheard?session={SESSION}")
        assert refused.status_code == 403
        assert "lab" in refused.json()["message"]
