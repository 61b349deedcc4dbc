"""Previews that `demo --keep` leaves running after the story: one of each kind that people meet first."""

from __future__ import annotations

from greenroom.demo.outside import Eyes, until
from greenroom.demo.stage import Stage
from greenroom.demo.story import PREVIEW, pull_request

BROKEN = """print("payments 4 starts", flush=True)
import a_library_that_nobody_installed
"""


async def leave(stage: Stage, eyes: Eyes) -> None:
    """Leave a ready preview, one that uses it by a comment, one that failed, and one that waits for its image."""
    world, storefront = stage.world, stage.noted["storefront"]
    catalog, _ = pull_request(stage, "catalog", "cheaper-beans", "4", title="Cheaper beans")
    failed, _ = pull_request(stage, "payments", "new-library", "4", "linus", "A new library", {"server.py": BROKEN})
    waiting, sha = pull_request(stage, "payments", "gift-cards", "5", "linus", title="Gift cards")
    for name, number, by in (
        ("catalog", catalog, "ada"),
        ("payments", failed, "linus"),
        ("payments", waiting, "linus"),
    ):
        world.label(f"shop/{name}", number, PREVIEW, by)
        if number != waiting or name != "payments":
            stage.push_image(name, world.pull_request(f"shop/{name}", number).head_sha)
    world.comment("shop/storefront", storefront, f"/preview use catalog#{catalog}", "grace")
    await until(lambda: eyes.says("catalog", catalog, "ready", "Used by"), 40)
    await until(lambda: eyes.says("storefront", storefront, "ready", "grace chose it"), 40)
    await until(lambda: eyes.says("payments", failed, "failed"), 40)
    await until(lambda: eyes.says("payments", waiting, "waiting", sha[:7]), 40)
