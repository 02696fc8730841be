"""What is there before anybody made anything: base models, packs, and what things cost."""

from typing import Any

from astria_sync.simulator.records import Pack, Template, Tune

GEMINI, SEEDREAM, GPT_IMAGE, FLUX = 3618064, 3691308, 4665564, 1504944
BASE_MODELS = {GEMINI: "Gemini", SEEDREAM: "Seedream 4.5", GPT_IMAGE: "GPT Image 2", FLUX: "Flux1.dev"}

RESOLUTIONS = {GEMINI: ("1K", "2K", "4K"), SEEDREAM: ("2K", "4K"), GPT_IMAGE: ("1K", "2K", "4K"), FLUX: ()}
DEFAULT_RESOLUTION = {GEMINI: "2K", SEEDREAM: "2K", GPT_IMAGE: "1K"}

# Thousandths of a cent for one picture; invented, but of the right size.
PICTURE_MC = {
    (GEMINI, "1K"): 12_000,
    (GEMINI, "2K"): 14_000,
    (GEMINI, "4K"): 24_000,
    (SEEDREAM, "2K"): 4_500,
    (SEEDREAM, "4K"): 6_000,
    (GPT_IMAGE, "1K"): 8_000,
    (GPT_IMAGE, "2K"): 16_000,
    (GPT_IMAGE, "4K"): 32_000,
}
OTHER_PICTURE_MC = 2_300
SUPER_RESOLUTION_MC = 1_000
VIDEO_SECOND_MC = 5_000
TRAINING_MC = 150_000

MODELS: dict[str, Any] = {
    "default": "gemini",
    "default_video_model": "seedance2_fast_720p",
    "cache_ttl": 86400,
    "models": {
        "gemini": {"tune_id": GEMINI, "resolutions": ["1K", "2K", "4K"], "default": True},
        "seedream": {"tune_id": SEEDREAM, "resolutions": ["2K", "4K"]},
        "gpt-image-2": {"tune_id": GPT_IMAGE, "resolutions": ["1K", "2K", "4K"]},
    },
    "video_models": {
        "seedance2_fast_480p": {"durations": [5, 8, 10], "supports_image_references": True},
        "seedance2_fast_720p": {"durations": [5, 8, 10], "supports_image_references": True},
        "kling30_standard": {"durations": [5, 10]},
    },
}


def base_tunes(now: float) -> list[Tune]:
    """Make the public models that prompts are sent to, as old as the service."""
    return [
        Tune(
            id=tune_id,
            workspace_id=None,
            created_at=0.0,
            updated_at=now,
            title=title,
            name="style",
            branch="flux1" if tune_id == FLUX else "partner-1",
            public=True,
        )
        for tune_id, title in sorted(BASE_MODELS.items())
    ]


def packs(now: float) -> list[Pack]:
    """Make a pack for references and one for trained models, both public."""
    return [
        Pack(
            id=260,
            workspace_id=None,
            created_at=0.0,
            updated_at=now,
            slug="corporate-headshots",
            title="Corporate Headshots",
            subtitle="Plain, friendly, at work",
            base_tune_id=GEMINI,
            model_type="faceid",
            public=True,
            templates=[
                Template(id=501, name="woman", text="<1> in a navy suit, office, soft window light"),
                Template(id=502, name="woman", text="<1> in a white blouse, plain grey background"),
                Template(id=503, name="man", text="<1> in a dark suit, office, soft window light"),
                Template(
                    id=504, name="man", text="<1> in a light shirt, plain grey background", num_images=2
                ),
            ],
        ),
        Pack(
            id=261,
            workspace_id=None,
            created_at=0.0,
            updated_at=now,
            slug="spring-lookbook",
            title="Spring Lookbook",
            subtitle="Outside, in bloom",
            base_tune_id=FLUX,
            model_type="lora",
            public=True,
            templates=[
                Template(id=511, name="woman", text="<1> under cherry trees, {{mood}} look book"),
                Template(id=512, name="dress", text="<1> on a hanger, plain white background"),
            ],
        ),
    ]


def root_of(tune: Tune, find: Any) -> int:
    """Follow `base_tune_id` down to the public model that a tune stands on."""
    for _ in range(10):
        parent = find(tune.base_tune_id) if tune.base_tune_id is not None and not tune.public else None
        if parent is None:
            break
        tune = parent
    return tune.id


def picture_cost(root: int, free: bool, params: dict[str, Any]) -> int:
    """Price one picture, with its video if there is one."""
    if free:
        return 0
    cost = PICTURE_MC.get((root, str(params.get("resolution"))), OTHER_PICTURE_MC)
    if params.get("super_resolution"):
        cost += SUPER_RESOLUTION_MC
    if params.get("video_model"):
        cost += VIDEO_SECOND_MC * int(params.get("video_duration") or 5)
    return cost


def training_cost(model_type: str | None, branch: str) -> int:
    return 0 if model_type == "faceid" or branch == "fast" else TRAINING_MC
