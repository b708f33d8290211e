"""A training counter over its local API: it says so everywhere, and what a trainee lets happen exists nowhere else."""

from typing import Any

import pytest

from agent import texts
from agent.errors import DeviceUnavailable
from agent.local.client import LocalClient, RequestRefused
from agent.local.pages import FILES, MARKED_BODY
from agent.local.requests import Scene
from tests.local.served import ServedLane
from tests.services.lanes import Till

CALL = "/v1/scenes"


class Played:
    """What was let happen."""

    def __init__(self) -> None:
        self.scenes: list[str] = []

    async def __call__(self, what: str) -> dict[str, Any]:
        if what == "paper_out":
            raise DeviceUnavailable("no virtual device of this lane knows it.")
        self.scenes.append(what)
        return {"line": "up", "paper": "in"}


def test_a_real_counter_has_no_such_call_and_its_pages_no_word_of_training(till: Till) -> None:
    served = ServedLane(till)

    def story(client: LocalClient) -> None:
        assert served.raw("POST", CALL, b'{"what": "pays"}')[0] == 404
        assert CALL not in client.get("/v1/openapi.json")["paths"]
        assert client.get("/v1/counter")["training"] is client.get("/v1/health")["training"] is False
        for page in ("/", "/customer"):
            assert b"training" not in served.raw("GET", page)[2]

    served.tell(story)


def test_at_a_training_counter_it_happens_and_is_described(till: Till) -> None:
    served, played = ServedLane(till), Played()

    def story(client: LocalClient) -> None:
        assert client.post(CALL, {"what": "pays"}) == {"line": "up", "paper": "in"}
        assert CALL in client.get("/v1/openapi.json")["paths"]
        with pytest.raises(RequestRefused, match="no virtual device"):
            client.post(CALL, {"what": "paper_out"})
        with pytest.raises(RequestRefused):
            client.post(CALL, {"what": "make money"})

    served.tell(story, scene=played)
    assert played.scenes == ["pays"]


@pytest.mark.parametrize(("page", "has_tray"), [("cashier", True), ("customer", False)])
def test_its_pages_are_marked_before_any_script_runs_and_only_the_cashier_can_let_things_happen(
    till: Till, page: str, has_tray: bool
) -> None:
    served = ServedLane(till)

    def story(_client: LocalClient) -> None:
        status, _, body = served.raw("GET", {"cashier": "/", "customer": "/customer"}[page])
        text = body.decode()
        assert status == 200 and MARKED_BODY.format(name=page) in text
        assert "TRAINING · nothing is charged" in text and "不扣任何款项" in text
        assert "/page/training.css" in text and ("/page/training.js" in text) is has_tray

    served.tell(story, scene=Played())


@pytest.mark.parametrize("language", texts.LANGUAGES)
def test_every_scene_has_a_key_with_words_on_the_tray(language: texts.Language) -> None:
    script = FILES["training.js"][1].decode()
    scenes = set(Scene.model_fields["what"].annotation.__args__) - {"look"}  # type: ignore[union-attr]
    assert scenes <= texts.catalogue(language)["training"].keys()
    assert all(f'"{scene}"' in script for scene in scenes)
    lessons = [label for label in texts.catalogue(language)["training"] if label.startswith("lesson_")]
    assert f"const LESSONS = {len(lessons)};" in script
