"""Lives: what the people of one pull request do, from its opening to its end, drawn from the seed.

A life keeps what its people want in the end (`Intent`); the model compares that with what is seen.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

from chaos.eyes import Eyes
from chaos.judge import BOT, KEEP, SLEEP, Intent
from chaos.scene import PEOPLE, Scene, Service

Json = dict[str, Any]
READER = "reader"
KINDS = {"plain": 80, "fork": 6, "draft": 7, "labeled by a reader": 7}
ENDINGS = ("close", "close", "merge", "unlabel", "close while unlabeled")


@dataclass(slots=True)
class Life:
    """One pull request. Use `begin`, `acts` as often as wanted, `settle`, `finish`."""

    scene: Scene
    eyes: Eyes
    name: str
    service: Service
    chance: random.Random
    others: list[Life]
    shas: list[str]
    bad: list[str]
    intent: Intent = field(init=False)
    sha: str = ""
    images: list[str] = field(default_factory=list)
    labeled: bool = False
    open: bool = False
    asleep: bool = False
    kind: str = "plain"

    @property
    def slug(self) -> str:
        return self.scene.slugs[self.service.name]

    @property
    def who(self) -> str:
        return self.chance.choice(PEOPLE)

    async def do(self, op: str, **given: Any) -> Any:
        """Something on this pull request."""
        where = {"slug": self.slug, "number": self.intent.number}
        return (await self.scene.do({"op": op, **where, **given}))[0]

    # --- its parts ---

    async def begin(self) -> None:
        """Open it, label it, and have CI build it, in some order."""
        self.sha = self.shas.pop()
        author = self.who
        title = f"{'Hushed' if self.service.private else 'Change'} {self.name}"
        self.kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
        opened: Json = {"op": "open_pull_request", "slug": self.slug, "head": f"branch-{self.name}", "sha": self.sha}
        opened |= {"draft": self.kind == "draft", "fork": "stranger/fork" if self.kind == "fork" else None}
        [number] = await self.scene.do({**opened, "by": author, "title": title, "body": ""})
        repo = self.scene.ids[self.service.name]
        self.intent = Intent(self.name, repo, int(number), self.service.name, may=self.kind != "fork")
        self.intent.hosts.add(f"{self.service.name}-pr-{number}.preview.localhost")
        self.open = True
        self.images.append(self.sha)
        steps = [self.label, self.build]
        self.chance.shuffle(steps)
        for step in steps:
            await self.pause(0.6)
            await step()

    async def acts(self) -> None:
        """One thing that people do."""
        kinds = [
            (self.push, 5),
            (self.push_bad, 1),
            (self.build, 3),
            (self.talk, 3),
            (self.relabel, 2),
            (self.reopen, 2),
            (self.flap, 2),
            (self.sleep, 2),
            (self.use, 3),
            (self.damage, 2),
            (self.move_tag, 1),
            (self.write, 4 if self.service.database else 0),
            (self.storm, 1),
        ]
        act = self.chance.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
        await act()

    async def settle(self) -> None:
        """Bring the pull request into a state that has one right outcome: open, labeled, and built."""
        await self.build()
        if not self.open:
            await self.do("reopen", by=self.who)
            self.open = True
        if self.kind == "draft":
            await self.do("ready_for_review", by=self.who)
        if self.kind == "labeled by a reader":
            self.kind = "plain"
            await self.do("unlabel", label=self.scene.label, by=self.who)
            self.labeled = False
        if not self.labeled:
            await self.label()

    async def finish(self) -> None:
        """End it, in one of the ways that people have."""
        if not self.open:
            return
        ending = self.chance.choice(ENDINGS)
        if ending in ("unlabel", "close while unlabeled") and self.labeled:
            await self.unlabel()
        if ending != "unlabel":
            await self.do("close", by=self.who, merge=ending == "merge")
            self.open = False

    async def pause(self, most: float) -> None:
        await asyncio.sleep(self.chance.uniform(0, most))

    # --- what people do ---

    async def label(self) -> None:
        by = READER if self.kind == "labeled by a reader" else self.who
        await self.do("label", label=self.scene.label, by=by)
        self.labeled = True

    async def unlabel(self) -> None:
        await self.do("unlabel", label=self.scene.label, by=self.who)
        self.labeled = False

    async def build(self) -> None:
        """CI has built everything that was pushed."""
        built, self.images = self.images, []
        for sha in built:
            order = {"op": "push_image", "image": self.service.image, "tag": sha, "slug": self.slug}
            await self.scene.do(order)

    async def push(self) -> None:
        if self.shas:
            await self._pushed(self.shas.pop())

    async def push_bad(self) -> None:
        if self.bad:
            self.intent.bad.add(self.bad[-1])
            await self._pushed(self.bad.pop())

    async def _pushed(self, sha: str) -> None:
        self.sha = sha
        await self.do("push", sha=sha, by=self.who, force=self.chance.random() < 0.3)
        self.images.append(sha)
        if self.chance.random() < 0.7:
            await self.build()

    async def talk(self) -> None:
        await self.do("comment", body=self.chance.choice(["Nice.", "/preview", "/preview use nothing#1"]), by=self.who)

    async def relabel(self) -> None:
        """Take the label off and, sooner or later, put it on again; or put it on a second time."""
        if self.labeled and self.chance.random() < 0.7:
            await self.unlabel()
            await self.pause(2.5)
        await self.label()

    async def reopen(self) -> None:
        if self.open:
            await self.do("close", by=self.who)
            self.open = False
            await self.pause(2.5)
        await self.do("reopen", by=self.who)
        self.open = True

    async def flap(self) -> None:
        """Close and reopen it, or take the label off and on; then a replica shows the moment between the two again."""
        off, on = ("close", "reopen") if self.chance.random() < 0.5 else ("unlabel", "label")
        if not (self.open and self.labeled):
            return
        label = {"label": self.scene.label} if on == "label" else {}
        quiet = {"stormy": 0, "webhook-lost": 1}
        await self.scene.weather(**quiet)
        await self.do(off, by=self.who, **label)
        between = time.monotonic() + self.chance.uniform(0.3, 0.6)
        await asyncio.sleep(self.chance.uniform(0.8, 1.3))
        await self.do(on, by=self.who, **label)
        await asyncio.sleep(self.chance.uniform(1.0, 3.0))
        for _ in range(3):
            await self.scene.weather(**quiet, behind=time.monotonic() - between)
            await asyncio.sleep(self.chance.uniform(0.5, 1.0))
        await self.scene.weather(stormy=0)

    async def sleep(self) -> None:
        self.asleep = not self.asleep
        await self.do("label" if self.asleep else "unlabel", label=SLEEP, by=self.who)

    async def keep(self) -> None:
        await self.do("label", label=KEEP, by=self.who)

    async def use(self) -> None:
        """Choose where a link leads: the preview of another life, or staging again."""
        if not self.service.uses:
            return
        target = self.chance.choice(self.service.uses)
        known = [o for o in self.others if o.service.name == target and hasattr(o, "intent")]
        if known and self.chance.random() < 0.8:
            chosen = str(self.chance.choice(known).intent.number)
            await self.do("comment", body=f"/preview use {target}#{chosen}", by=self.who)
            self.intent.use[target] = chosen
        else:
            await self.do("comment", body=f"/preview use {target} staging", by=self.who)
            self.intent.use.pop(target, None)

    async def damage(self) -> None:
        """Edit our comment, or delete it."""
        truth = await self.scene.truth(10**9, 10**9, 10**9)
        mine = next(p for p in truth["pulls"] if (p["repo"], p["number"]) == self.intent.key)
        for comment in [c for c in mine["comments"] if c["author"] == BOT][:1]:
            if self.chance.random() < 0.3:
                await self.scene.do({"op": "delete_comment", "slug": self.slug, "comment_id": comment["id"]})
                return
            body = self.chance.choice([" " + comment["body"], comment["body"].replace("greenroom:", "x"), "Spoiled"])
            order = {"op": "edit_comment", "slug": self.slug, "comment_id": comment["id"], "body": body}
            await self.scene.do({**order, "by": self.who})

    async def move_tag(self) -> None:
        """CI pushes another image under the same tag."""
        if self.sha not in self.images:
            order = {"op": "push_image", "image": self.service.image, "tag": self.sha, "slug": self.slug}
            await self.scene.do({**order, "label": str(self.chance.random())})

    async def write(self) -> None:
        """Write into the preview's database, as its users do."""
        token = f"{self.name}-{self.chance.random()}"
        if uid := await self.eyes.write(self.intent.key, token):
            self.intent.tokens.append((uid, token))

    async def storm(self) -> None:
        """Forty comments within a moment."""
        where = {"slug": self.slug, "number": self.intent.number, "by": "build-bot[bot]"}
        await self.scene.do(*({"op": "comment", **where, "body": f"line {n}"} for n in range(40)))
