"""Take each safety rule out of the code, one at a time, and see that a test turns red.

    python tests/mutations.py [WORD]     all of them, or those whose rule holds WORD; exits 1 when one survives

Works on a copy; numbers are those of the rules that keep previews alive.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE, SCENARIOS, WEB, ENGINE = "tests/core", "tests/scenarios", "tests/web", "tests/argocd_engine"


@dataclass(frozen=True)
class Mutation:
    rule: str
    file: str
    old: str
    new: str
    tests: str = CORE
    select: str = ""


MUTATIONS = [
    Mutation(
        "1 a webhook is signed",
        "web/webhook.py",
        "return any(hmac.compare_digest(given, e) for e in expected)",
        "return True",
        WEB,
    ),
    Mutation(
        "2 a list shorter than its count is doubt",
        "github/reading.py",
        "or len(found) != total",
        "",
        SCENARIOS,
        "truncated",
    ),
    Mutation(
        "2 GraphQL errors are doubt",
        "github/reading.py",
        "if len(partly) < len({_node(e) for e in wrong}) or repository is None:",
        "if repository is None:",
        SCENARIOS,
        "graphql",
    ),
    Mutation(
        "2 HTML with 200 is doubt",
        "github/transport.py",
        'if status not in (204, 304) and "json" not in',
        'if False and "json" not in',
        SCENARIOS,
        "html",
    ),
    Mutation("2 a 5xx is doubt", "github/transport.py", "if status >= 500:", "if status >= 600:", SCENARIOS, "server"),
    Mutation(
        "2 a 304 proves its own page only",
        "github/transport.py",
        "and len(items) >= _page_size(url)",
        "and False",
        "tests/github_adapter",
        "304",
    ),
    Mutation(
        "2 a renamed repository is told",
        "github/reading.py",
        'if repository["nameWithOwner"].lower() !=',
        'if False and repository["nameWithOwner"].lower() !=',
        SCENARIOS,
        "renamed",
    ),
    Mutation(
        "2 a stale read starts and moves nothing", "core/desired.py", "if identity.number in facts.stale:", "if False:"
    ),
    Mutation(
        "2 a stale confirmation removes nothing",
        "core/removal.py",
        "and pull_request.identity.number not in facts.stale",
        "",
    ),
    Mutation(
        "3 removal needs a by-number read",
        "core/removal.py",
        "    if isinstance(answer, str):\n        return Stay(Stage.HELD, reasons.unconfirmed(answer))\n",
        "    if isinstance(answer, str):\n        return Go(Cause.CLOSED, reasons.closed(''), '', facts.listing.read_at)\n",
    ),
    Mutation(
        "3 the by-number read is newer than the list",
        "core/removal.py",
        "return fresh and answer.read_at >= facts.listing.read_at",
        "return fresh",
    ),
    Mutation("3 the by-number read is not older than the list's", "core/removal.py", "return fresh and", "return"),
    Mutation(
        "3 open and labelled by number stays",
        "core/removal.py",
        "    if labels.carries(pull_request.labels, label):\n        return Stay(Stage.HELD, reasons.list_disagrees())\n",
        "",
    ),
    Mutation(
        "3 the row goes out first",
        "core/plan.py",
        "if served or (preview and not entry):",
        "if served and not preview:",
    ),
    Mutation(
        "4 unlabelled needs an event after the last labelling",
        "core/removal.py",
        "if event is None or event.added:",
        "if event is None:",
    ),
    Mutation("4 unlabelled needs a person", "core/removal.py", "if event.actor.kind is Kind.PERSON:", "if True:"),
    Mutation(
        "4 three or a fifth an hour",
        "core/breaker.py",
        "if identity not in spent and len(spent) >= limit:",
        "if False:",
    ),
    Mutation(
        "4 the ledger counts the hour before", "core/breaker.py", "w.cause is cause and w.at > now - HOUR", "False"
    ),
    Mutation(
        "4 names of the configuration wait",
        "core/plan.py",
        "        key = _names_key(old, new)\n        if self",
        "        return new\n        key = _names_key(old, new)\n        if self",
    ),
    Mutation(
        "4 a changed label waits",
        "core/desired.py",
        "    if not labels.same(label, platform.label):\n",
        "    if False:\n",
    ),
    Mutation("4 restarts are bounded", "core/plan.py", "else self.restarts.take(identity)", 'else ""'),
    Mutation(
        "4 a release covers exactly one hold",
        "core/rowsets.py",
        "if (r.identity, r.hold) == (identity, hold)",
        "if r.hold == hold",
    ),
    Mutation(
        "4 a release lets through what was read",
        "controller/control.py",
        "if held[n].hold != seen.get(n)",
        "if False",
        SCENARIOS,
        "what_was_read",
    ),
    Mutation(
        "4 other names are another preview",
        "core/plan.py",
        "        if release:  # under other names",
        "        if False:  # under other names",
    ),
    Mutation(
        "3 each preview counts once",
        "core/breaker.py",
        "Identity(i, n) for",
        "(i, n) for",
    ),
    Mutation(
        "2 nothing expires on a read that is too old",
        "core/desired.py",
        "if row is not None and identity.number not in facts.stale:",
        "if row is not None:",
    ),
    Mutation(
        "2 what a webhook overtook is not acted on",
        "controller/perform.py",
        "            _still_so(sources, target, identity)\n            await engine.remove",
        "            await engine.remove",
        "tests/controller",
    ),
    Mutation(
        "2 a page of bots says nothing of people",
        "github/translate.py",
        'if people or not page["pageInfo"]["hasPreviousPage"]:',
        "if True:",
        "tests/github_adapter",
    ),
    Mutation(
        "6 values set by hand are not shown",
        "core/reasons.py",
        "{listed(n for n, _ in parameters)}",
        "{listed(v for _, v in parameters)}",
    ),
    Mutation(
        "5 the block is signed",
        "core/comment.py",
        "key.id == key_id and hmac.compare_digest(mac, self._mac(key, identity, comment.id, payload))",
        "key.id == key_id",
    ),
    Mutation("5 only our own last edit is read", "core/comment.py", "not comment.trusted or ", ""),
    Mutation("5 exactly one block", "core/comment.py", ' or comment.body.count("<!-- greenroom:") != 1', ""),
    Mutation(
        "5 the block belongs to this comment",
        "core/comment.py",
        "identity.number, comment_id, payload]",
        "identity.number, payload]",
    ),
    Mutation(
        "7 an expiry takes the label off first",
        "core/plan.py",
        "            self._take_label_off(identity, expiry.why, desired.pull_requests[identity].labels)",
        "            pass",
    ),
    Mutation(
        "7 our marker is searched for before a comment is made",
        "github/client.py",
        "found = comment_id or await self._marked(slug, number, marker)",
        "found = comment_id",
        SCENARIOS,
        "lacks_our_new_comment",
    ),
    Mutation(
        "8 another installation's object is a gate",
        "core/desired.py",
        "if owner := facts.observed.foreign.get(identity):",
        "if (owner := '') and False:",
    ),
    Mutation(
        "9 one answer that jumps is not believed",
        "github/clock.py",
        "elif then - self._other.then >= SETTLED:",
        "if self._other:",
        "tests/github_adapter",
        "clock",
    ),
    Mutation("9 nothing expires without a warning", "core/plan.py", "if expiry.warn:", "if False:"),
    Mutation(
        "9 the warning is a day before",
        "core/activity.py",
        "        at = max(at, memory.warned_at + lifetime.warn_before)\n",
        "        at = memory.warned_at\n",
    ),
    Mutation(
        "9 bots keep nothing",
        "core/activity.py",
        "return activity.actor.kind is Kind.PERSON and activity.actor.login != me",
        "return activity.actor.login != me",
        SCENARIOS,
        "bots_comment",
    ),
    Mutation("gate: images", "core/images.py", " if missing else Versions", " if False else Versions"),
    Mutation("gate: forks", "core/gates.py", "if pull_request.fork:", "if False:"),
    Mutation(
        "gate: the labeller's permission",
        "core/gates.py",
        "case Permission.ADMIN | Permission.WRITE:",
        "case Permission.ADMIN | Permission.WRITE | Permission.READ:",
    ),
    Mutation(
        "3 Argo CD: a row that is served is not removed",
        "argocd/engine.py",
        "if rows and identity.number in rows.rows:",
        "if False:",
        ENGINE,
        "removal_wants",
    ),
    Mutation(
        "3 Argo CD: it has worked without the row first",
        "argocd/engine.py",
        'if rows and not await self._sets.refresh_of(rows).taken_over(TAKEN_OVER):\n            raise RetryLater(f"',
        'if False:\n            raise RetryLater(f"',
        ENGINE,
        "removal_wants",
    ),
    Mutation(
        "3 Argo CD: nothing is left, said only once it works without the row",
        "argocd/engine.py",
        "if rows and not await self._sets.refresh_of(rows).taken_over(TAKEN_OVER):\n            raise RetryLater(\n",
        "if False:\n            raise RetryLater(\n",
        ENGINE,
        "nothing_is_said",
    ),
    Mutation(
        "3 Argo CD: that Application and no other",
        "argocd/engine.py",
        'metadata["uid"] != uid',
        "False",
        ENGINE,
        "removal_wants",
    ),
    Mutation(
        "3 Argo CD: a policy that deletes stops everything",
        "argocd/engine.py",
        "        if self._proved is False:\n            raise Doubt(birds.DELETES)\n",
        "",
        ENGINE,
        "policy_that_deletes",
    ),
    Mutation(
        "3 Argo CD: what could not be written is not answered",
        "argocd/keeping.py",
        "                self.known[rows.repository_id] = known\n            raise",
        "                self.known[rows.repository_id] = rows\n            raise",
        ENGINE,
        "could_not_be_written",
    ),
    Mutation(
        "2 Argo CD: a row that cannot be read is no preview that is gone",
        "argocd/engine.py",
        "doubts.setdefault(identity.repository_id, str(error))",
        "pass",
        ENGINE,
        "doubts",
    ),
    Mutation(
        "2 Argo CD: a set that cannot be read is not a set without rows",
        "argocd/keeping.py",
        "            self.unread[name] = Unread(repository, await self._id_of(repository, found), str(error))\n",
        "",
        ENGINE,
        "doubts",
    ),
    Mutation(
        "2 of what the engine cannot read nothing is changed",
        "controller/reconcile.py",
        "if why := observed.doubts.get(repository_id):",
        'if why := "":',
        SCENARIOS,
        "engine_cannot_read",
    ),
    Mutation(
        "8 the plugin asks for its token",
        "web/plugin.py",
        'if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):',
        "if False:",
        WEB,
        "plugin",
    ),
    Mutation(
        "8 Argo CD: a set of somebody else is not written",
        "argocd/keeping.py",
        "if found and not receipts.ours(found, self._frame.installation):",
        "if False:",
        ENGINE,
        "foreign",
    ),
    Mutation(
        "8 a comment of another installation is not ours",
        "github/translate.py",
        " and not _marked(n)), None)",
        "), None)",
        SCENARIOS,
        "another_installation",
    ),
    Mutation(
        "8 Argo CD: what is being written ends with the Lease",
        "argocd/engine.py",
        "argo.within(self._lease.held), previews.within(self._lease.held)",
        "argo, previews",
        ENGINE,
        "one_writer",
    ),
    Mutation(
        "8 Argo CD: rows go over the version that was read and no other",
        "argocd/keeping.py",
        "sets.over(body, version)",
        "body",
        ENGINE,
        "one_writer",
    ),
    Mutation(
        "8 Argo CD: what another instance wrote is not written over",
        "argocd/keeping.py",
        "if known is None or generation > known.generation:",
        "if False:",
        ENGINE,
        "one_writer",
    ),
    Mutation(
        "8 nobody is told anything by who is not the one writer",
        "controller/perform.py",
        "async with engine.writing():",
        "if True:",
        SCENARIOS,
        "one_writer",
    ),
    Mutation(
        "8 a namespace of somebody else is a gate",
        "core/desired.py",
        "    if name not in owners or owners[name] == identity:\n        return None\n",
        "    return None\n",
        CORE,
        "namespace",
    ),
    Mutation(
        "5 choices stay while the block is in doubt",
        "core/desired.py",
        "return Memory(choices=row.choices if row else ())",
        "return Memory()",
        SCENARIOS,
        "spoils",
    ),
    Mutation("6 a later command counts", "core/commands.py", "one.comment > known.get(each.service, 0)", "True"),
    Mutation("6 an edited comment commands nothing", "core/commands.py", "and not one.edited", ""),
    Mutation("6 a bot commands nothing", "core/commands.py", "if one.by.kind is Kind.PERSON and not", "if not"),
    Mutation(
        "6 code commands nothing",
        "github/markdown.py",
        "        elif fence := _opened(line):\n            continue\n",
        "",
        "tests/github_adapter",
        "said",
    ),
    Mutation(
        "6 half a command commands nothing",
        "github/translate.py",
        'else f"{line[: LENGTH - 1]}…"',
        "else line[:LENGTH]",
        "tests/github_adapter",
        "too_long",
    ),
    Mutation(
        "6 a command needs write access",
        "core/commands.py",
        "    if may not in WRITERS:",
        "    if False:",
    ),
    Mutation(
        "6 a command needs a reader of the target",
        "core/commands.py",
        "refused=reads is Permission.NONE",
        "refused=False",
    ),
    Mutation("links: a refused choice leads nowhere", "core/links.py", "None if choice.refused else around", "around"),
    Mutation("links: a pair needs writers", "core/links.py", "if rights[_key(r)] <= {*WRITERS}]", "if r]"),
    Mutation(
        "links: doubt about rights moves nothing",
        "core/links.py",
        "[r.number for r in unsure] == [before.number]",
        "False",
    ),
    Mutation(
        "links: required means no staging",
        "core/links.py",
        "if use.required and not link.number and not link.own:",
        "if False:",
    ),
    Mutation("links: two of one branch are no pair", "core/links.py", "if len(allowed) > 1:", "if False:"),
    Mutation("links: two sleepers do not keep each other awake", "core/links.py", "if not row.sleepy]", "]"),
    Mutation(
        "links: a public comment leads to no private repository",
        "core/told.py",
        "link.private and not private)",
        "False)",
        SCENARIOS,
        "public_comment",
    ),
    Mutation(
        "2 a 404 about a person counts where the repository is shown",
        "github/client.py",
        '            await self._transport.get(f"/repos/{slug}")\n',
        "            return Permission.NONE\n",
        "tests/github_adapter",
        "hidden",
    ),
    Mutation(
        "2 a permission elsewhere ends no pass here",
        "controller/gather.py",
        "if slug.lower() == own.lower():",
        "if True:",
        SCENARIOS,
        "stranger",
    ),
    Mutation(
        "4 what leaves the catalogue waits for a person",
        "core/desired.py",
        "if platform.repository(repository.name) is None:",
        "if False:",
        SCENARIOS,
        "catalogue",
    ),
    Mutation(
        "what goes goes although nothing more fits",
        "core/decision.py",
        "return frozenset(last[len(last) // 2 :])",
        "return frozenset()",
        SCENARIOS,
        "fit or full",
    ),
    Mutation("links: an own service is a preview", "core/links.py", " and not link.own:", ":"),
    Mutation(
        "links: only a pair is remembered",
        "core/links.py",
        " == (service, use.service) and k.paired)",
        " == (service, use.service))",
    ),
    Mutation(
        "links: a refused choice is not told elsewhere", "core/links.py", "0 if choice.refused else number", "number"
    ),
    Mutation("4 data waits for a person as services do", "core/plan.py", "and not gone and not lost:", "and not gone:"),
    Mutation("4 a release is spent", "core/rowsets.py", "if r not in spent)", "if r)"),
    Mutation(
        "4 doubt spends no release", "core/plan.py", "or isinstance(verdict, Stay | None):", "or verdict is None:"
    ),
    Mutation(
        "4 the bound is one of all repositories too",
        "core/breaker.py",
        '            (self.total, self.limits[1], "of all repositories"),\n',
        "",
    ),
    Mutation(
        "4 labels are taken off at a bounded rate",
        "core/plan.py",
        "on: Set[str]) -> None:\n        if scope := self.expired.take(identity):",
        'on: Set[str]) -> None:\n        if scope := "":',
    ),
    Mutation(
        "4 another address for all is a restart",
        "core/plan.py",
        "return old.services == new.services and called and moved",
        "return old.services == new.services and moved",
    ),
    Mutation(
        "4 what was told counts for its hour",
        "core/rowsets.py",
        "if w.told or w.identity != entry.identity",
        "if w.identity != entry.identity",
    ),
    Mutation(
        "3 another repository confirms nothing", "core/removal.py", "if pull_request.identity != identity:", "if False:"
    ),
    Mutation(
        "5 the block is of one installation",
        "core/comment.py",
        "signed = [VERSION, self.host, self.installation,",
        "signed = [VERSION, self.host,",
    ),
    Mutation("5 an older key is replaced", "core/told.py", "        and not block.stale_key\n", ""),
    Mutation(
        "5 a read before our own block is old",
        "core/desired.py",
        "facts.blocks[n].sequence < row.sequence",
        "False",
        SCENARIOS,
        "lags",
    ),
    Mutation("6 a command is decided once", "core/commands.py", " and one.comment > last\n", "\n"),
    Mutation(
        "5 strangers open no second block",
        "core/text.py",
        '.replace("<!--", "<\\u200b!--")\n\n\ndef _escaped',
        "\n\n\ndef _escaped",
    ),
    Mutation(
        "9 whoever looks is warned",
        "core/told.py",
        '        lines += ["", markdown(str(status.warning))]\n',
        "        pass\n",
    ),
    Mutation(
        "6 what waits still follows its data",
        "core/plan.py",
        "        if old is None or verdict.row is None:\n",
        "        if True:\n",
    ),
    Mutation(
        "gate: a label that was taken off", "core/gates.py", "if event is None or not event.added:", "if event is None:"
    ),
    Mutation(
        "2 labels behind the first hundred are doubt",
        "github/client.py",
        'if node["labels"]["pageInfo"]["hasNextPage"]:',
        "if False:",
        "tests/github_adapter",
    ),
    Mutation(
        "2 queries that are used up wait",
        "github/transport.py",
        'if any(e.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for e in errors):',
        "if False:",
        "tests/github_adapter",
    ),
    Mutation("gate: limits", "core/caps.py", "if self.total >= limits.total:", "if False:"),
    Mutation(
        "3 a label that is deleted in the repository removes nothing",
        "core/removal.py",
        "answer.label_since is not None and answer.label_since < event.at",
        "True",
        "tests/core/test_removal.py",
    ),
    Mutation(
        "3 a label that was created after the event is another one",
        "core/removal.py",
        " and answer.label_since < event.at",
        "",
        "tests/core/test_removal.py",
    ),
    Mutation(
        "3 a later event of a label without a name is doubt",
        "core/removal.py",
        "return any(e.label == UNKNOWN_LABEL and e.at >= event.at for e in later)",
        "return False",
        "tests/core/test_removal.py",
    ),
    Mutation(
        "3 a replica that lags shows no label",
        "github/client.py",
        "if known < found.updated_at:",
        "if False:",
        "tests/github_adapter/test_changes.py",
    ),
    Mutation(
        "2 a label without a name is doubt",
        "github/translate.py",
        "if not all(isinstance(name, str) for name in names):",
        "if False:",
        "tests/github_adapter/test_nulls.py",
    ),
    Mutation(
        "wrong commit: a merge commit of an earlier head",
        "github/translate.py",
        'if not merge or not any(p and p["oid"] == node["headRefOid"] for p in merge["parents"]["nodes"] or ()):',
        "if not merge:",
        "tests/github_adapter/test_changes.py",
    ),
    Mutation(
        "wrong commit: files of another head",
        "github/client.py",
        "        if not same:\n",
        "        if False:\n",
        "tests/github_adapter/test_changes.py",
    ),
    Mutation(
        "wrong commit: files that GitHub leaves out",
        "github/client.py",
        "return found if len(files) == listed.changed_files else None",
        "return found",
        "tests/github_adapter/test_changes.py",
    ),
    Mutation(
        "9 a commit from the future is no activity",
        "core/activity.py",
        "return min(activity.at, row.head_since)",
        "return activity.at",
        "tests/core/test_activity.py",
    ),
    Mutation(
        "9 a push that waits for its image is activity",
        "core/activity.py",
        "last_activity(pull_request, row, me) if seen else now",
        "last_activity(pull_request, row, me)",
        "tests/core/test_activity.py",
    ),
    Mutation(
        "labels are the same in every case",
        "core/labels.py",
        "return one.casefold() == other.casefold()",
        "return one == other",
        "tests/core/test_labels.py",
    ),
    Mutation(
        "the keep label keeps in every case",
        "core/activity.py",
        "not labels.carries(pull_request.labels, lifetime.keep_label)",
        "lifetime.keep_label not in pull_request.labels",
        "tests/core/test_labels.py",
    ),
    Mutation(
        "a preview stays while the label is on in any case",
        "core/removal.py",
        "if pull_request.state is State.OPEN and labels.carries(pull_request.labels, label):",
        "if pull_request.state is State.OPEN and label in pull_request.labels:",
        "tests/core/test_labels.py",
    ),
    Mutation(
        "what stays becomes private with its repository",
        "core/plan.py",
        "        private=new.private,\n",
        "",
        "tests/core/test_what_follows.py",
    ),
    Mutation(
        "what is in doubt becomes private with its repository",
        "core/desired.py",
        "private=served.private or facts.listing.private",
        "private=served.private",
        "tests/core/test_what_follows.py",
    ),
    Mutation(
        "a stale read makes nothing public",
        "core/desired.py",
        "private=served.private or facts.listing.private",
        "private=facts.listing.private",
        "tests/core/test_what_follows.py",
    ),
    Mutation(
        "a choice without a preview keeps the link that works",
        "core/links.py",
        "elif now is not None and now.number != number:",
        "elif False:",
        "tests/core/test_links.py",
    ),
    Mutation(
        "2 a pull request of another shape is not read: the shape of each is checked",
        "github/client.py",
        "        shapes.check(node, shapes.PULL_REQUEST, what, times=True)\n",
        "",
        "tests/github_adapter",
        "sentence",
    ),
    Mutation(
        "2 an error inside one pull request is doubt about it: the shape alone does not show it",
        "github/client.py",
        "for number in [n for n in nodes if n not in doubts]:",
        "for number in nodes:",
        "tests/github_adapter",
        "inside_one",
    ),
    Mutation(
        "2 what is read of one shape for all does not end the pass: doubt is about one pull request",
        "github/client.py",
        "                doubts[number] = str(error)\n",
        "                raise\n",
        SCENARIOS,
        "stops_no_other",
    ),
    Mutation(
        "5 a choice outlives a pull request that cannot be read (shape)",
        "controller/reconcile.py",
        "        asking |= {Identity(facts.listing.repository_id, n) for n in facts.listing.doubts}\n",
        "",
        SCENARIOS,
        "loses_no_choice",
    ),
    Mutation(
        "7 a comment whose making was answered in another shape is not made twice",
        "github/client.py",
        "return isinstance(error, OutcomeUnknown) or not isinstance(error, RetryLater | NotFound)",
        "return isinstance(error, OutcomeUnknown)",
        "tests/github_adapter",
        "answered_oddly",
    ),
    Mutation(
        "2 a pull request that had the label is read to our comment (shape of the list)",
        "core/questions.py",
        "names = {*pull_request.labels, *(e.label for e in pull_request.label_events)}",
        "names = set(pull_request.labels)",
        "tests/github_adapter",
        "labeled_once",
    ),
    Mutation(
        "2 ids of any size and shape make no fork of a branch of ours",
        "github/client.py",
        'if node["headRepository"] is not None and not node["isCrossRepository"]:',
        "if False:",
        "tests/github_adapter",
        "any_size",
    ),
    Mutation(
        "2 a replica that lags behind an earlier read is doubt",
        "controller/freshness.py",
        "([mark[0].updated_at] if mark else [])",
        "[]",
        SCENARIOS,
        "closed_and_reopened",
    ),
    Mutation(
        "2 a replica that lags is known after a restart",
        "controller/gather.py",
        "freshness.keep(listing.repository_id, rows.watermarks if rows else {})",
        "pass",
        SCENARIOS,
        "unlabeled_and_labeled",
    ),
    Mutation(
        "2 a replica that lags: a reopening is kept at once",
        "core/watermarks.py",
        "before.watermarks.get(i.number, nothing).asked_at != after.watermarks.get(i.number, nothing).asked_at",
        "False",
        SCENARIOS,
        "closed_and_reopened",
    ),
    Mutation(
        "2 a replica that lags within a second is doubt",
        "core/removal.py",
        "if isinstance(found, Go) and _asked_since(found, answer, facts):",
        "if False:",
        CORE,
        "second",
    ),
    Mutation(
        "2 a read from GitHub's future raises no watermark",
        "core/watermarks.py",
        "return pull_request.updated_at <= now + AHEAD",
        "return True",
        CORE,
        "future",
    ),
    Mutation(
        "7 our comment is known by its id",
        "core/comment.py",
        "return by_id or signed or pull_request.comment",
        "return pull_request.comment",
        SCENARIOS,
        "somebody_spoiled",
    ),
    Mutation(
        "7 our comment is not made again after one 404",
        "github/client.py",
        "if await self._ours(slug, number, marker, found) or await self._exists(slug, found):",
        "if False:",
        SCENARIOS,
        "404_once",
    ),
    Mutation(
        "7 our comment that tells a removal is read back",
        "controller/perform.py",
        "    return readback.wait(identity, said)\n",
        "    return None\n",
        SCENARIOS,
        "read_back or not_applied",
    ),
    Mutation(
        "7 our comment is not written for ever",
        "controller/readback.py",
        "return max(0.0, last[2] + WAITS[min(last[1], len(WAITS)) - 1] - self.monotonic())",
        "return 0.0",
        SCENARIOS,
        "limits",
    ),
    Mutation(
        "hints keep a distance",
        "controller/loop.py",
        "self._pull(found, max(time.monotonic(), found.begun + self._distance()))\n\n",
        "self._pull(found, 0.0)\n\n",
        "tests/controller",
        "storm",
    ),
]


def tested(copy: Path, tests: str, select: str) -> str:
    """What pytest prints of these tests over the code as it is now."""
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", tests]
    command += ["-k", select] if select else []
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + (f"exit code {done.returncode}" if done.returncode else "")


def killed(mutation: Mutation, copy: Path) -> bool | None:
    """Whether a test turned red; None when the code no longer holds the text."""
    path = copy / "src" / "greenroom" / mutation.file
    whole = path.read_text()
    if whole.count(mutation.old) != 1:
        return None
    path.write_text(whole.replace(mutation.old, mutation.new))
    said = tested(copy, mutation.tests, mutation.select)
    path.write_text(whole)
    return "\nFAILED " in said


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy"
        for name in ("src", "tests", "docs", "examples"):
            shutil.copytree(ROOT / name, copy / name)
        shutil.copy(ROOT / "pyproject.toml", copy)
        chosen = [m for m in MUTATIONS if word in m.rule]
        for tests, select in sorted({(m.tests, m.select) for m in chosen}):  # or red would prove nothing
            if " passed" not in (said := tested(copy, tests, select)) or "exit code" in said:
                sys.exit(f"{tests} {select}: not green before anything is taken out\n{said[-2000:]}")
        for mutation in chosen:
            found = killed(mutation, copy)
            failed += found is not True
            verdict = {True: "killed", False: "SURVIVED", None: "NOT FOUND in the code"}[found]
            print(f"{verdict:10} {mutation.rule} ({mutation.file})", flush=True)
    print(f"{failed} of them did not turn a test red" if failed else "every rule is held by a test")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
