"""The stand-in over loopback."""

import httpx


def test_a_prompt_goes_from_order_to_bytes(sim):
    """A prompt posted over HTTP has its pictures on the other port once its time has come."""
    with httpx.Client(base_url=sim.base_url, headers={"Authorization": f"Bearer {sim.token}"}) as client:
        made = client.post(
            "/tunes/3618064/prompts", data={"prompt[text]": "a cat", "prompt[num_images]": "2"}
        )
        assert made.status_code == 201
        assert client.get(f"/prompts/{made.json()['id']}").json()["images"] == []
        sim.advance(31)
        urls = client.get(f"/prompts/{made.json()['id']}.json").json()["images"]
    assert [httpx.get(url).content for url in urls] == [sim.picture_bytes(url) for url in urls]
    assert all(url.startswith(sim.pictures_url) for url in urls)
    assert not any(entry.authorization for entry in sim.ledger.pictures_served())
