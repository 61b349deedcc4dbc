"""Take each safety rule out of the code, one at a time, and check that the test named after it turns red.

    python tests/mutations.py [WORD]     all of them, or those whose rule holds WORD; exits 1 when one survives

Only the named test counts: any other one may fail because the machine is busy. All named tests run once without a
mutation first, and one that is red then is an error of its own. One worker for each processor has a copy of its own; the
numbers are those of the rules in docs/architecture.md.
"""

from __future__ import annotations

import compileall
import importlib
import multiprocessing
import os
import py_compile
import re
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATIENCE = 600
"""Seconds for the test of one mutation: without its rule, code may wait for ever."""
LIBRARIES = (
    "hypothesis",
    "httpx2",
    "openapi_core",
    "prometheus_client",
    "psycopg",
    "pydantic_settings",
    "pytest_asyncio.plugin",
    "sqlalchemy.ext.asyncio",
    "starlette.applications",
    "structlog",
    "uvicorn",
    "yaml",
)
"""Slow to import, and the same with and without a mutation."""


@dataclass(frozen=True)
class Mutation:
    """One safety rule, the text that holds it in `file`, and the text without it.

    `test` is the one that must fail: `tests/core/test_plan.py::test_name`, with all its parameters or with one.
    """

    rule: str
    file: str
    old: str
    new: str
    test: str


MUTATIONS = [
    Mutation(
        "1 a webhook is signed",
        "web/webhook.py",
        "return any(hmac.compare_digest(given, e) for e in expected)",
        "return True",
        "tests/web/test_webhook.py::test_what_is_not_signed_is_refused",
    ),
    Mutation(
        "2 a list shorter than its count is doubt",
        "github/reading.py",
        "or len(found) != total",
        "",
        "tests/scenarios/test_accidents.py::test_a_read_that_is_not_whole_changes_nothing",
    ),
    Mutation(
        "2 GraphQL errors are doubt",
        "github/reading.py",
        "if len(partly) < len({_node(e) for e in wrong}) or repository is None:",
        "if repository is None:",
        "tests/scenarios/test_accidents.py::test_a_read_that_is_not_whole_changes_nothing",
    ),
    Mutation(
        "2 HTML with 200 is doubt",
        "github/transport.py",
        'if status not in (204, 304) and "json" not in',
        'if False and "json" not in',
        "tests/scenarios/test_accidents.py::test_a_read_that_is_not_whole_changes_nothing",
    ),
    Mutation(
        "2 a 5xx is doubt",
        "github/transport.py",
        "if status >= 500:",
        "if status >= 600:",
        "tests/scenarios/test_accidents.py::test_a_read_that_is_not_whole_changes_nothing",
    ),
    Mutation(
        "2 a 304 proves its own page only",
        "github/transport.py",
        "and len(items) >= _page_size(url)",
        "and False",
        "tests/github_adapter/test_client.py::test_an_event_behind_a_full_page_is_not_hidden_by_a_304",
    ),
    Mutation(
        "2 a renamed repository is told",
        "github/reading.py",
        'if repository["nameWithOwner"].lower() !=',
        'if False and repository["nameWithOwner"].lower() !=',
        "tests/scenarios/test_accidents.py::test_a_renamed_repository_says_its_new_name",
    ),
    Mutation(
        "2 a stale read starts and moves nothing",
        "core/planning/desired.py",
        "if identity.number in facts.stale:",
        "if False:",
        "tests/core/test_gates.py::test_a_stale_read_starts_and_moves_nothing",
    ),
    Mutation(
        "2 a stale confirmation removes nothing",
        "core/policy/removal.py",
        "and pull_request.identity.number not in facts.stale",
        "",
        "tests/core/test_removal.py::test_a_stale_by_number_read_removes_nothing",
    ),
    Mutation(
        "3 removal needs a by-number read",
        "core/policy/removal.py",
        "    if isinstance(answer, str):\n        return Stay(Stage.HELD, messages.unconfirmed(answer))\n",
        "    if isinstance(answer, str):\n        return Go(Cause.CLOSED, messages.closed(''), '', facts.listing.read_at)\n",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "3 the by-number read is newer than the list",
        "core/policy/removal.py",
        "return fresh and answer.read_at >= facts.listing.read_at",
        "return fresh",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "3 the by-number read is not older than the list's",
        "core/policy/removal.py",
        "return fresh and",
        "return",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "3 open and labeled by number stays",
        "core/policy/removal.py",
        "State.OPEN and labels.carries(pull_request.labels, label):",
        "State.OPEN and False:",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "3 the row goes out first",
        "core/planning/plan.py",
        "if served or (preview and not entry):",
        "if served and not preview:",
        "tests/core/test_plan.py::test_a_preview_starts_and_is_removed_in_steps",
    ),
    Mutation(
        "4 unlabeled needs an event after the last labeling",
        "core/policy/removal.py",
        "if event is None or event.added:",
        "if event is None:",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "4 unlabeled needs a person",
        "core/policy/removal.py",
        "if event.actor.kind is Kind.PERSON:",
        "if True:",
        "tests/core/test_removal.py::test_doubt_holds_it",
    ),
    Mutation(
        "4 three or a fifth an hour",
        "core/policy/breaker.py",
        "if identity not in spent and len(spent) >= limit:",
        "if False:",
        "tests/core/test_plan.py::test_the_breaker_lets_three_or_a_fifth_go_in_an_hour",
    ),
    Mutation(
        "4 the ledger counts the hour before",
        "core/policy/breaker.py",
        "w.cause is cause and w.at > now - HOUR",
        "False",
        "tests/core/test_ledger.py::test_the_breaker_counts_the_last_sixty_minutes",
    ),
    Mutation(
        "4 names of the configuration wait",
        "core/planning/plan.py",
        "        key = _names_key(old, new)\n        if self",
        "        return new\n        key = _names_key(old, new)\n        if self",
        "tests/core/test_plan.py::test_a_configuration_change_never_removes_or_renames_automatically",
    ),
    Mutation(
        "4 a changed label waits",
        "core/planning/desired.py",
        "    if not labels.same(label, platform.label):\n",
        "    if False:\n",
        "tests/core/test_plan.py::test_a_configuration_change_never_removes_or_renames_automatically",
    ),
    Mutation(
        "4 restarts are bounded",
        "core/planning/plan.py",
        "else self.restarts.take(identity)",
        'else ""',
        "tests/core/test_plan.py::test_changed_settings_restart_only_so_many_in_an_hour",
    ),
    Mutation(
        "4 a release covers exactly one hold",
        "core/planning/preview_sets.py",
        "if (r.identity, r.hold) == (identity, hold)",
        "if r.hold == hold",
        "tests/core/test_plan.py::test_release_lets_exactly_the_named_go",
    ),
    Mutation(
        "4 a release lets through what was read",
        "controller/admin_service.py",
        "if str(held[n].hold) != seen.get(n)",
        "if False",
        "tests/scenarios/test_accidents.py::test_a_release_lets_through_what_was_read_and_nothing_else",
    ),
    Mutation(
        "4 other names are another preview",
        "core/planning/plan.py",
        "        if release:  # under other names",
        "        if False:  # under other names",
        "tests/core/test_plan.py::test_a_preview_under_another_name_is_another_one_and_the_first_is_removed_before",
    ),
    Mutation(
        "3 each preview counts once",
        "core/policy/breaker.py",
        "Identity(i, n) for",
        "(i, n) for",
        "tests/core/test_plan.py::test_the_limit_of_all_repositories_counts_each_preview_once",
    ),
    Mutation(
        "2 nothing expires on a read that is too old",
        "core/planning/desired.py",
        "if spec is not None and identity.number not in facts.stale:",
        "if spec is not None:",
        "tests/core/test_plan.py::test_a_read_that_is_too_old_takes_no_label_off_and_forgets_no_warning",
    ),
    Mutation(
        "2 what a webhook overtook is not acted on",
        "controller/executor.py",
        "            _still_so(sources, served, identity)\n            await engine.remove",
        "            await engine.remove",
        "tests/controller/test_freshness.py::test_what_github_spoke_of_since_the_read_is_not_acted_on",
    ),
    Mutation(
        "2 a page of bots says nothing of people",
        "github/translate.py",
        'if people or not page["pageInfo"]["hasPreviousPage"]:',
        "if True:",
        "tests/github_adapter/test_client.py::test_a_page_of_bots_alone_does_not_say_that_nobody_worked",
    ),
    Mutation(
        "6 values set by hand are not shown",
        "core/messages/running.py",
        "{listed(n for n, _ in parameters)}",
        "{listed(v for _, v in parameters)}",
        "tests/core/test_comment.py::test_what_was_set_by_hand_is_named_and_its_value_is_not",
    ),
    Mutation(
        "5 the block is signed",
        "core/comment/signed_block.py",
        "key.id == key_id and hmac.compare_digest(mac, self._mac(key, identity, comment.id, payload))",
        "key.id == key_id",
        "tests/core/test_comment.py::test_any_changed_character_of_the_line_voids_it",
    ),
    Mutation(
        "5 only our own last edit is read",
        "core/comment/signed_block.py",
        "not comment.trusted or ",
        "",
        "tests/core/test_comment.py::test_what_is_not_whole_and_ours_is_nothing",
    ),
    Mutation(
        "5 exactly one block",
        "core/comment/signed_block.py",
        ' or comment.body.count("<!-- greenroom:") != 1',
        "",
        "tests/core/test_comment.py::test_what_is_not_whole_and_ours_is_nothing",
    ),
    Mutation(
        "5 the block belongs to this comment",
        "core/comment/signed_block.py",
        "identity.number, comment_id, payload]",
        "identity.number, payload]",
        "tests/core/test_comment.py::test_what_is_not_whole_and_ours_is_nothing",
    ),
    Mutation(
        "7 an expiry takes the label off first",
        "core/planning/plan.py",
        "            self._take_label_off(identity, expiry.why, desired.pull_requests[identity].labels)",
        "            pass",
        "tests/core/test_plan.py::test_inactivity_warns_then_decides_then_takes_the_label_off",
    ),
    Mutation(
        "7 our marker is searched for before a comment is made",
        "github/writes.py",
        "found = comment_id or await self._ours(slug, number, marker)",
        "found = comment_id",
        "tests/scenarios/test_accidents.py::test_a_list_that_lacks_our_new_comment_makes_no_second_one",
    ),
    Mutation(
        "8 another installation's object is a gate",
        "core/planning/desired.py",
        "if owner := facts.observed.other_installations.get(identity):",
        "if (owner := '') and False:",
        "tests/core/test_gates.py::test_another_installations_preview_is_a_gate_and_nothing_of_ours",
    ),
    Mutation(
        "9 one answer that jumps is not believed",
        "github/clock.py",
        "elif then - self._other.then >= SETTLED:",
        "if self._other:",
        "tests/github_adapter/test_clock.py::test_one_answer_with_a_wrong_date_moves_nothing",
    ),
    Mutation(
        "9 nothing expires without a warning",
        "core/planning/plan.py",
        "if expiry.warn:",
        "if False:",
        "tests/core/test_plan.py::test_inactivity_warns_then_decides_then_takes_the_label_off",
    ),
    Mutation(
        "9 the warning is a day before",
        "core/policy/expiry.py",
        "        at = max(at, memory.warned_at + lifetime.warn_before)\n",
        "        at = memory.warned_at\n",
        "tests/core/test_plan.py::test_a_lost_block_postpones_an_expiry",
    ),
    Mutation(
        "9 bots keep nothing",
        "core/policy/expiry.py",
        "return activity.actor.kind is Kind.PERSON and activity.actor.login != me",
        "return activity.actor.login != me",
        "tests/scenarios/test_life.py::test_a_bots_comment_keeps_nothing",
    ),
    Mutation(
        "gate: images",
        "core/policy/images.py",
        " if missing else Versions",
        " if False else Versions",
        "tests/core/test_gates.py::test_a_push_without_its_image_keeps_the_last_good_spec",
    ),
    Mutation(
        "gate: forks",
        "core/policy/gates.py",
        "if pull_request.fork:",
        "if False:",
        "tests/core/test_gates.py::test_each_gate_says_why",
    ),
    Mutation(
        "gate: the labeler's permission",
        "core/policy/gates.py",
        "case Permission.ADMIN | Permission.WRITE:",
        "case Permission.ADMIN | Permission.WRITE | Permission.READ:",
        "tests/core/test_gates.py::test_each_gate_says_why",
    ),
    Mutation(
        "3 Argo CD: a row that is served is not removed",
        "argocd/removal.py",
        "if preview_set and identity.number in preview_set.specs:",
        "if False:",
        "tests/argocd_engine/test_engine.py::test_removal_wants_the_spec_out_and_argo_cd_to_have_worked_without_it",
    ),
    Mutation(
        "3 Argo CD: it has worked without the row first",
        "argocd/removal.py",
        'if preview_set and not await self._taken_over(preview_set):\n            raise RetryLater(f"',
        'if False:\n            raise RetryLater(f"',
        "tests/argocd_engine/test_engine.py::test_removal_wants_the_spec_out_and_argo_cd_to_have_worked_without_it",
    ),
    Mutation(
        "3 Argo CD: nothing is left, said only once it works without the row",
        "argocd/removal.py",
        "if preview_set and not await self._taken_over(preview_set):\n            raise RetryLater(\n",
        "if False:\n            raise RetryLater(\n",
        "tests/argocd_engine/test_engine.py::test_nothing_is_reported_as_left_while_argo_cd_may_make_it_again",
    ),
    Mutation(
        "3 Argo CD: that Application and no other",
        "argocd/removal.py",
        'metadata["uid"] != uid',
        "False",
        "tests/argocd_engine/test_engine.py::test_removal_wants_the_spec_out_and_argo_cd_to_have_worked_without_it",
    ),
    Mutation(
        "3 Argo CD: a policy that deletes stops everything",
        "argocd/policy.py",
        'self.unable = proved, "" if proved else f"{CANNOT_ACT} {DELETES}"',
        'self.unable = proved, ""',
        "tests/argocd_engine/test_engine.py::test_argo_cds_policy_that_deletes_stops_everything",
    ),
    Mutation(
        "3 Argo CD: nothing is served or removed before the policy is proved",
        "argocd/lead.py",
        "        self.may_read()\n        if self.policy.unable:\n            raise Doubt(self.policy.unable)\n",
        "        self.may_read()\n",
        "tests/argocd_engine/test_engine.py::test_until_the_policy_is_proved_it_says_that_it_cannot_act_why_and_what_helps",
    ),
    Mutation(
        "3 an engine that cannot act is given nothing to do",
        "core/planning/decision.py",
        "    if facts.observed.unable:\n",
        "    if False:\n",
        "tests/scenarios/test_accidents.py::test_while_the_engine_cannot_act_the_comments_say_so_and_nothing_moves",
    ),
    Mutation(
        "3 Argo CD: what could not be written is not answered",
        "argocd/store.py",
        "            self._known.replace(preview_set, before)\n",
        "            self._known.replace(preview_set, preview_set)\n",
        "tests/argocd_engine/test_engine.py::test_a_set_that_could_not_be_written_is_not_served",
    ),
    Mutation(
        "2 Argo CD: a row that cannot be read is no preview that is gone",
        "argocd/engine_state.py",
        "doubts.setdefault(identity.repository_id, str(error))",
        "pass",
        "tests/argocd_engine/test_doubts.py::test_a_spec_that_cannot_be_read_and_is_not_served_is_doubt_about_its_repository_alone",
    ),
    Mutation(
        "2 Argo CD: a set that cannot be read is not a set without rows",
        "argocd/known_sets.py",
        "        self.unread[name] = unread\n",
        "",
        "tests/argocd_engine/test_doubts.py::test_a_set_that_cannot_be_read_is_doubt_about_its_repository_alone",
    ),
    Mutation(
        "2 of what the engine cannot read nothing is changed",
        "controller/reconcile.py",
        "if why := observed.doubts.get(repository_id):",
        'if why := "":',
        "tests/scenarios/test_accidents.py::test_a_repository_of_which_the_engine_cannot_read_something_stands_still",
    ),
    Mutation(
        "8 the plugin asks for its token",
        "web/plugin.py",
        'if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):',
        "if False:",
        "tests/web/test_plugin.py::test_everything_else_is_an_error_with_a_sentence",
    ),
    Mutation(
        "8 Argo CD: a set of somebody else is not written",
        "argocd/set_writer.py",
        "if found and not receipts.ours(found, self._frame.installation):",
        "if False:",
        "tests/argocd_engine/test_engine.py::test_objects_of_another_installation_are_recognized",
    ),
    Mutation(
        "8 a comment of another installation is not ours",
        "github/translate.py",
        " and not _marked(n)), None)",
        "), None)",
        "tests/scenarios/test_accidents.py::test_another_installations_comment_is_never_ours",
    ),
    Mutation(
        "8 Argo CD: what is being written ends with the Lease",
        "argocd/clusters.py",
        "self.argo.within(writing), self.previews.within(writing)",
        "self.argo, self.previews",
        "tests/argocd_engine/test_one_writer.py::test_a_deletion_that_hangs_is_over_before_another_instance_leads",
    ),
    Mutation(
        "8 Argo CD: rows go over the version that was read and no other",
        "argocd/set_writer.py",
        "applicationset.over(body, version)",
        "body",
        "tests/argocd_engine/test_one_writer.py::test_specs_that_arrive_late_do_not_go_over_newer_ones",
    ),
    Mutation(
        "8 Argo CD: what another instance wrote is not written over",
        "argocd/set_writer.py",
        "if known is None or generation > known.generation:",
        "if False:",
        "tests/argocd_engine/test_one_writer.py::test_who_finds_that_another_one_wrote_stops_and_leaves_it",
    ),
    Mutation(
        "8 nobody is told anything by who is not the one writer",
        "controller/executor.py",
        "async with engine.writing():",
        "if True:",
        "tests/scenarios/test_accidents.py::test_without_the_place_of_the_one_writer_nothing_is_reported_any_more",
    ),
    Mutation(
        "8 a namespace of somebody else is a gate",
        "core/planning/desired.py",
        "    if name not in owners or owners[name] == identity:\n        return None\n",
        "    return None\n",
        "tests/core/test_gates.py::test_a_namespace_that_belongs_to_someone_else_is_not_adopted",
    ),
    Mutation(
        "5 choices stay while the block is in doubt",
        "core/planning/desired.py",
        "return CommentState(choices=spec.choices.overrides if spec else ())",
        "return CommentState()",
        "tests/scenarios/test_links.py::test_a_comment_that_a_person_damages_loses_no_choice",
    ),
    Mutation(
        "6 a later command counts",
        "core/policy/commands.py",
        "one.comment > known.get(each.service, 0)",
        "True",
        "tests/core/test_commands.py::test_what_was_asked_for_after_a_comment_counts_when_the_comments_are_read_again",
    ),
    Mutation(
        "6 an edited comment commands nothing",
        "core/policy/commands.py",
        "and not one.edited",
        "",
        "tests/core/test_commands.py::test_what_commands_nothing_is_answered",
    ),
    Mutation(
        "6 a bot commands nothing",
        "core/policy/commands.py",
        "if one.by.kind is Kind.PERSON and not",
        "if not",
        "tests/core/test_commands.py::test_what_commands_nothing_is_answered",
    ),
    Mutation(
        "6 code commands nothing",
        "github/markdown.py",
        '.enable(["table", "strikethrough"])',
        '.enable(["table", "strikethrough"]).disable("fence")',
        "tests/github_adapter/test_commands_in_comments.py::test_what_is_code_or_hidden_commands_nothing",
    ),
    Mutation(
        "6 a quote commands nothing",
        "github/markdown.py",
        "if before.type in _TEXT and token.map[0] > quoted and counted:",
        "if before.type in _TEXT and counted:",
        "tests/github_adapter/test_markdown.py::test_hidden_line_is_not_kept",
    ),
    Mutation(
        "6 text in HTML commands nothing",
        "github/markdown.py",
        "return self.lost or bool(self._open)",
        "return self.lost",
        "tests/github_adapter/test_markdown.py::test_hidden_line_is_not_kept",
    ),
    Mutation(
        "6 half a command commands nothing",
        "github/translate.py",
        'else f"{line[: LENGTH - 1]}…"',
        "else line[:LENGTH]",
        "tests/github_adapter/test_commands_in_comments.py::test_a_command_that_is_too_long_is_none_and_not_half_of_one",
    ),
    Mutation(
        "6 a command needs write access",
        "core/policy/commands.py",
        "    if may not in WRITERS:",
        "    if False:",
        "tests/core/test_commands.py::test_what_commands_nothing_is_answered",
    ),
    Mutation(
        "6 a command needs a reader of the target",
        "core/policy/commands.py",
        "refused=reads is Permission.NONE",
        "refused=False",
        "tests/core/test_commands.py::test_who_may_not_read_the_target_chooses_it_in_vain",
    ),
    Mutation(
        "links: a refused choice leads nowhere",
        "core/linking/links.py",
        "None if choice.refused else index",
        "index",
        "tests/core/test_links.py::test_what_does_not_exist_and_what_is_forbidden_get_the_same_answer",
    ),
    Mutation(
        "links: a pair needs writers",
        "core/linking/links.py",
        "if rights[_key(r)] <= {*WRITERS}]",
        "if r]",
        "tests/core/test_links.py::test_both_authors_must_write_in_both_repositories",
    ),
    Mutation(
        "links: doubt about rights moves nothing",
        "core/linking/links.py",
        "[r.id.number for r in unsure] == [before.number]",
        "False",
        "tests/scenarios/test_permissions.py::test_a_pair_stays_while_the_others_repository_is_hidden",
    ),
    Mutation(
        "links: required means no staging",
        "core/linking/links.py",
        "if use.required and not link.number and not link.own:",
        "if False:",
        "tests/core/test_links.py::test_without_it_a_preview_that_requires_another_one_waits",
    ),
    Mutation(
        "links: two of one branch are no pair",
        "core/linking/links.py",
        "if len(allowed) > 1:",
        "if False:",
        "tests/core/test_links.py::test_two_of_one_branch_are_no_pair",
    ),
    Mutation(
        "links: two sleepers do not keep each other awake",
        "core/linking/links.py",
        "if not spec.choices.sleep_requested]",
        "]",
        "tests/core/test_links.py::test_a_preview_that_is_used_by_an_awake_preview_stays_awake_however_far",
    ),
    Mutation(
        "images: a failed image of the base branch follows the branch",
        "core/policy/images.py",
        "elif service.name == failing and (newer :=",
        "elif False and (newer :=",
        "tests/scenarios/test_versions.py::test_failed_image_of_the_base_branch_is_named_and_follows_the_branch",
    ),
    Mutation(
        "images: the comment names the broken base branch instead of asking for a push",
        "core/comment/statuses.py",
        "_unmigrated(spec, preview) or _base_broken(spec, preview, decided)",
        "_unmigrated(spec, preview)",
        "tests/scenarios/test_versions.py::test_failed_image_of_the_base_branch_is_named_and_follows_the_branch",
    ),
    Mutation(
        "images: the base branch's current commit is used, not the one that GitHub last recorded",
        "github/translate.py",
        'return text(target["oid"]) if target else ""',
        'return text(node["baseRefOid"])',
        "tests/scenarios/test_versions.py::"
        "test_healthy_preview_keeps_the_image_of_the_base_branch_until_a_person_redeploys_it",
    ),
    Mutation(
        "links: a removal waits for users that still call the preview",
        "core/planning/plan.py",
        "if found.waited_for and not removing:",
        "if False:",
        "tests/scenarios/test_links.py::test_links_move_and_their_users_are_updated_before_the_target_is_removed",
    ),
    Mutation(
        "links: a removal waits for a minute at most",
        "core/linking/handover.py",
        "(found if waited < limit else late)",
        "(found if True else late)",
        "tests/core/test_handover.py::test_removal_continues_after_a_minute_and_names_users_that_have_not_moved",
    ),
    Mutation(
        "links: a removal does not wait for a link set by hand",
        "core/linking/handover.py",
        "preview.calls - manual_overrides",
        "preview.calls",
        "tests/core/test_handover.py::test_removal_does_not_wait_for_a_user_that_is",
    ),
    Mutation(
        "links: a pod that is not ready calls its hosts all the same",
        "argocd/pods.py",
        "for pod in mine if _runs(pod) for",
        "for pod in mine if ready(pod) for",
        "tests/argocd_engine/test_pods.py::test_running_pods_call_the_hosts_they_were_started_with",
    ),
    Mutation(
        "links: a user in doubt or failed is waited for too, for a short time",
        "core/linking/handover.py",
        "if not _calls(preview, naming):",
        "if preview.health is Health.FAILED or not _calls(preview, naming):",
        "tests/core/test_handover.py::test_removal_waits_ten_seconds_for_a_user_when",
    ),
    Mutation(
        "links: a pod calls the hosts that it was started with",
        "argocd/pods.py",
        'frozenset(found - {""})',
        "frozenset(host_of(k.url) for k in spec.links.targets)",
        "tests/argocd_engine/test_pods.py::test_running_pods_call_the_hosts_they_were_started_with",
    ),
    Mutation(
        "Argo CD: a service is not in trouble while what it depends on is starting",
        "argocd/troubles.py",
        "found.rank == START or not (starting[found.service] or _past(pods, spec, found))",
        "True",
        "tests/argocd_engine/test_pods.py::test_service_is_not_in_trouble_while_what_it_depends_on_is_starting",
    ),
    Mutation(
        "Argo CD: of several troubles the one behind the others is told",
        "argocd/troubles.py",
        "return found.rank != START, depends, found.rank",
        "return found.rank != START, False, 0",
        "tests/argocd_engine/test_pods.py::test_of_several_troubles_the_one_behind_the_others_is_reported",
    ),
    Mutation(
        "Argo CD: a process that crash-loops is not ready between two crashes",
        "argocd/pods.py",
        '(moment or not status.get("ready"))',
        'not status.get("ready")',
        "tests/argocd_engine/test_pods.py"
        "::test_process_that_crashed_twice_is_failing_until_it_has_run_for_a_minute_although_its_pod_is_ready",
    ),
    Mutation(
        "links: a local preview calls the hosts that its serving version was started with",
        "local/observation.py",
        "calls=_calls(kept.serving)",
        'calls=_calls(Instance("", kept.spec))',
        "tests/local/test_engine.py::test_preview_calls_the_hosts_that_its_serving_version_was_started_with",
    ),
    Mutation(
        "links: a link set by hand to a removed preview is a warning",
        "core/comment/statuses.py",
        "note = next((messages.by_hand_gone(",
        "next((messages.by_hand_gone(",
        "tests/scenarios/test_links.py::test_target_lists_a_link_set_by_hand_and_the_user_warns_once_the_target_is_removed",
    ),
    Mutation(
        "links: a public comment leads to no private repository",
        "core/comment/body.py",
        "hidden = link.private and not private",
        "hidden = False",
        "tests/scenarios/test_links.py::test_a_public_comment_leads_to_no_private_repository",
    ),
    Mutation(
        "links: a public comment names no private repository",
        "core/comment/body.py",
        '"another preview" if hidden and not link.name.startswith(f"{link.target}#") else link.name',
        "link.name",
        "tests/core/test_comment.py::test_public_comment_names_no_private_repository",
    ),
    Mutation(
        "2 a 404 about a person counts where the repository is shown",
        "github/client.py",
        '            await self._transport.get(f"/repos/{slug}")\n',
        "            return Permission.NONE\n",
        "tests/github_adapter/test_client.py::test_a_repository_that_is_hidden_from_us_says_nothing_about_permissions",
    ),
    Mutation(
        "2 a permission elsewhere ends no pass here",
        "controller/gather.py",
        "if slug.lower() == own.lower():",
        "if True:",
        "tests/scenarios/test_permissions.py::test_a_stranger_who_names_a_repository_that_cannot_be_asked_stops_nothing",
    ),
    Mutation(
        "4 what leaves the catalog waits for a person",
        "core/planning/desired.py",
        "if platform.repository(repository.name) is None:",
        "if False:",
        "tests/scenarios/test_links.py::test_a_repository_that_leaves_the_catalog_keeps_its_previews_until_a_person_lets_them_go",
    ),
    Mutation(
        "what goes goes although nothing more fits",
        "core/planning/decision.py",
        "return frozenset(last[len(last) // 2 :])",
        "return frozenset()",
        "tests/scenarios/test_accidents.py::test_specs_that_do_not_all_fit_keep_nothing_from_going",
    ),
    Mutation(
        "links: an own service is a preview",
        "core/linking/links.py",
        " and not link.own:",
        ":",
        "tests/core/test_links.py::test_an_own_service_is_a_preview_that_answers",
    ),
    Mutation(
        "links: only a pair is remembered",
        "core/linking/links.py",
        " == (service, use.service) and k.paired)",
        " == (service, use.service))",
        "tests/core/test_links.py::test_a_choice_that_is_taken_back_was_no_pair",
    ),
    Mutation(
        "links: a refused choice is not told elsewhere",
        "core/linking/links.py",
        "0 if choice.refused else number",
        "number",
        "tests/core/test_links.py::test_what_does_not_exist_and_what_is_forbidden_get_the_same_answer",
    ),
    Mutation(
        "4 data waits for a person as services do",
        "core/planning/plan.py",
        "and not gone and not lost:",
        "and not gone:",
        "tests/core/test_plan.py::test_data_that_a_change_of_the_configuration_would_take_waits_for_a_person",
    ),
    Mutation(
        "4 a release is spent",
        "core/planning/preview_sets.py",
        "if r not in spent)",
        "if r)",
        "tests/core/test_plan.py::test_a_release_that_was_not_needed_is_over",
    ),
    Mutation(
        "4 doubt spends no release",
        "core/planning/plan.py",
        "or isinstance(verdict, Stay | None):",
        "or verdict is None:",
        "tests/core/test_plan.py::test_a_stale_read_ends_no_release",
    ),
    Mutation(
        "4 the bound is one of all repositories too",
        "core/policy/breaker.py",
        '            (self.total, self.limits[1], "across all repositories"),\n',
        "",
        "tests/core/test_plan.py::test_the_bound_of_all_repositories_holds_in_each",
    ),
    Mutation(
        "4 labels are taken off at a bounded rate",
        "core/planning/plan.py",
        "on: Set[str]) -> None:\n        if scope := self.expired.take(identity):",
        'on: Set[str]) -> None:\n        if scope := "":',
        "tests/core/test_plan.py::test_labels_of_what_expired_are_taken_off_at_a_bounded_rate",
    ),
    Mutation(
        "4 another address for all is a restart",
        "core/planning/plan.py",
        "return old.services == new.services and called and moved",
        "return old.services == new.services and moved",
        "tests/core/test_plan.py::test_an_address_that_changes_for_all_restarts_only_so_many_in_an_hour",
    ),
    Mutation(
        "4 what was told counts for its hour",
        "core/planning/preview_sets.py",
        "if w.told or w.identity != entry.identity",
        "if w.identity != entry.identity",
        "tests/core/test_plan.py::test_what_was_unlabeled_and_labeled_and_closed_still_counts_for_its_hour",
    ),
    Mutation(
        "3 another repository confirms nothing",
        "core/policy/removal.py",
        "if pull_request.identity != identity:",
        "if False:",
        "tests/core/test_removal.py::test_an_answer_about_another_pull_request_confirms_nothing",
    ),
    Mutation(
        "5 the block is of one installation",
        "core/comment/signed_block.py",
        "signed = [VERSION, self.host, self.installation,",
        "signed = [VERSION, self.host,",
        "tests/core/test_comment.py::test_a_block_of_another_installation_is_worth_nothing",
    ),
    Mutation(
        "5 an older key is replaced",
        "core/comment/updates.py",
        "        and not block.stale_key\n",
        "",
        "tests/core/test_comment.py::test_a_comment_that_an_older_key_signed_is_written_again",
    ),
    Mutation(
        "5 a read before our own block is old",
        "core/planning/desired.py",
        "blocks[n].sequence < spec.choices.comment_version",
        "False",
        "tests/core/test_comment.py::test_a_comment_older_than_the_choices_that_its_preview_follows_is_read_again",
    ),
    Mutation(
        "6 a command is decided once",
        "core/policy/commands.py",
        " and one.comment > last\n",
        "\n",
        "tests/core/test_commands.py::test_commands_from_before_a_person_may_write_do_not_count",
    ),
    Mutation(
        "5 strangers open no second block",
        "core/comment/sanitize.py",
        '.replace("<!--", "<\\u200b!--")\n\n\ndef _escaped',
        "\n\n\ndef _escaped",
        "tests/core/test_comment.py::test_no_sentence_opens_a_second_block",
    ),
    Mutation(
        "9 whoever looks is warned",
        "core/comment/body.py",
        '        lines += ["", markdown(str(status.warning))]\n',
        "        pass\n",
        "tests/core/test_comment.py::test_comment_warns_before_a_preview_is_removed",
    ),
    Mutation(
        "6 what waits still follows its data",
        "core/planning/plan.py",
        "        if old is None or verdict.spec is None:\n",
        "        if True:\n",
        "tests/core/test_gates.py::test_what_waits_still_sleeps_and_its_data_still_starts_over",
    ),
    Mutation(
        "gate: a label that was taken off",
        "core/policy/gates.py",
        "if event is None or not event.added:",
        "if event is None:",
        "tests/core/test_gates.py::test_each_gate_says_why",
    ),
    Mutation(
        "2 labels behind the first hundred are doubt",
        "github/listings.py",
        'if node["labels"]["pageInfo"]["hasNextPage"]:',
        "if False:",
        "tests/github_adapter/test_client.py::test_more_labels_than_github_shows_at_once_are_doubt_about_that_pull_request",
    ),
    Mutation(
        "2 queries that are used up wait",
        "github/transport.py",
        'if any(e.get("type") in ("RATE_LIMITED", "RATE_LIMIT") for e in errors):',
        "if False:",
        "tests/github_adapter/test_transport.py::test_queries_wait_for_the_reset_of_their_limit_however_github_words_it",
    ),
    Mutation(
        "gate: limits",
        "core/policy/quotas.py",
        "if self.total >= limits.total:",
        "if False:",
        "tests/core/test_plan.py::test_no_prefix_of_a_plan_exceeds_a_limit",
    ),
    Mutation(
        "3 Argo CD: the sweep looks at namespaces of this installation only",
        "argocd/sweep.py",
        "[n for n in namespaces if ours(n, installation) and identity_of(n)]",
        "[n for n in namespaces if identity_of(n)]",
        "tests/argocd_engine/test_sweep.py::test_a_namespace_of_another_installation_is_not_an_orphan_of_ours",
    ),
    Mutation(
        "3 Argo CD: the sweep reports Applications of this installation only",
        "argocd/sweep.py",
        "[a for a in applications if ours(a, installation) and identity_of(a)]",
        "[a for a in applications if identity_of(a)]",
        "tests/argocd_engine/test_sweep.py::test_an_application_of_another_installation_is_no_orphan_and_explains_no_namespace",
    ),
    Mutation(
        "3 Argo CD: what an open removal left is no orphan",
        "argocd/sweep.py",
        "    known |= {w.identity for r in sets.values() for w in r.ledger.withdrawals if not w.told}\n",
        "",
        "tests/argocd_engine/test_sweep.py::test_a_namespace_whose_removal_is_still_open_is_not_an_orphan",
    ),
    Mutation(
        "3 an open removal is kept beyond its hour",
        "core/planning/preview_sets.py",
        "if not w.told or w.at > now - HOUR)",
        "if w.at > now - HOUR)",
        "tests/core/test_ledger.py::test_a_removal_that_takes_longer_than_an_hour_keeps_its_cause_and_its_receipt",
    ),
    Mutation(
        "4 the breaker's hour is an hour",
        "core/policy/breaker.py",
        "HOUR = timedelta(hours=1)",
        "HOUR = timedelta(minutes=20)",
        "tests/core/test_ledger.py::test_the_breaker_counts_the_last_sixty_minutes",
    ),
    Mutation(
        "4 a fifth of the repository, not of all of them",
        "core/policy/breaker.py",
        "(max(FLOOR, int(held * share)),",
        "(max(FLOOR, int(everything * share)),",
        "tests/core/test_ledger.py::test_a_large_installation_does_not_raise_the_removal_limit_of_one_repository",
    ),
    Mutation(
        "4 a tenth of the repository, not of all of them",
        "core/policy/breaker.py",
        "_budget(observed, held, repository_id, RESTARTS, spent)",
        "_budget(observed, len(observed.previews), repository_id, RESTARTS, spent)",
        "tests/core/test_ledger.py::test_a_large_installation_does_not_raise_the_restart_limit_of_one_repository",
    ),
    Mutation(
        "4 each cause of removal has a limit of its own",
        "core/policy/breaker.py",
        "w.cause is cause and ",
        "",
        "tests/core/test_ledger.py::test_each_cause_of_removal_has_a_limit_of_its_own",
    ),
    Mutation(
        "4 a released restart applies to one configuration",
        "core/planning/plan.py",
        "HoldKey(HoldKind.RESTART, _digest(new.config, new.links.targets))",
        "HoldKey(HoldKind.RESTART)",
        "tests/core/test_ledger.py::test_a_released_restart_applies_to_that_configuration_only",
    ),
    Mutation(
        "4 releases end after seven days",
        "core/planning/preview_sets.py",
        "if r.at > now - RELEASES_KEPT)",
        ")",
        "tests/core/test_ledger.py::test_a_release_that_could_not_be_used_ends_after_seven_days",
    ),
    Mutation(
        "9 what is held does not expire",
        "core/planning/plan.py",
        "        if identity in self.holds:\n",
        "        if False:\n",
        "tests/core/test_ledger.py::test_a_held_preview_does_not_expire",
    ),
    Mutation(
        "9 a warning that a hold hid is void",
        "core/planning/plan.py",
        "            if memory != quiet and memory.expired_at is None:\n",
        "            if False:\n",
        "tests/core/test_expiry.py::test_a_warning_that_a_hold_hid_is_given_again_a_day_before",
    ),
    Mutation(
        "9 a bot's labeling keeps nothing",
        "core/policy/expiry.py",
        "labels.same(e.label, spec.names.label) and e.actor.kind is Kind.PERSON",
        "labels.same(e.label, spec.names.label)",
        "tests/core/test_expiry.py::test_only_a_person_who_adds_the_preview_label_counts_as_active",
    ),
    Mutation(
        "9 another label keeps nothing",
        "core/policy/expiry.py",
        "e.added and labels.same(e.label, spec.names.label) and",
        "e.added and",
        "tests/core/test_expiry.py::test_only_a_person_who_adds_the_preview_label_counts_as_active",
    ),
    Mutation(
        "9 the keep label keeps",
        "core/policy/expiry.py",
        " and not labels.carries(pull_request.labels, lifetime.keep_label):",
        ":",
        "tests/core/test_expiry.py::test_the_keep_label_prevents_expiry_by_inactivity",
    ),
    Mutation(
        "9 commit dates do not lie in the future",
        "github/translate.py",
        'min(time(node["commit"]["committedDate"]), now)',
        'time(node["commit"]["committedDate"])',
        "tests/github_adapter/test_client.py::test_a_commit_dated_in_the_future_counts_as_pushed_now",
    ),
    Mutation(
        "8 a preview of another installation gets no new row while it waits",
        "core/planning/desired.py",
        "identity.number not in facts.stale and identity not in facts.observed.other_installations",
        "identity.number not in facts.stale",
        "tests/core/test_gates.py::test_a_preview_that_another_installation_has_too_gets_no_new_spec_while_it_waits",
    ),
    Mutation(
        "8 Argo CD: who lost the Lease answers nothing",
        "argocd/answer.py",
        "        self.lead.lease.check()\n        if name == self.frame.canary:\n",
        "        if name == self.frame.canary:\n",
        "tests/argocd_engine/test_one_writer.py::test_an_instance_that_lost_the_lease_gives_argo_cd_no_specs",
    ),
    Mutation(
        "a ready preview says so",
        "core/messages/running.py",
        'return Reason("ready", "All services are up.")',
        'return Reason("ready", "Nothing answers.")',
        "tests/core/test_gates.py::test_a_ready_preview_says_that_it_answers",
    ),
    Mutation(
        "spec: names makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, None, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: build makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, None, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: config makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, spec.build, None, spec.chart, spec.data.generation, links, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: chart makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, spec.build, spec.config, None, spec.data.generation, links, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: data.generation makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, None, links, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: links makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, None, spec.asleep",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: asleep makes other pods",
        "core/model/spec.py",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, spec.asleep",
        "return spec.id, spec.names, spec.build, spec.config, spec.chart, spec.data.generation, links, None",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: what is only remembered of the data makes no other pods",
        "core/model/spec.py",
        "spec.chart, spec.data.generation, links",
        "spec.chart, spec.data, links",
        "tests/core/test_spec_fields.py::test_a_field_makes_other_pods_or_it_does_not",
    ),
    Mutation(
        "spec: a new version is a push",
        "core/model/spec.py",
        "old.build != new.build or",
        "",
        "tests/core/test_spec_fields.py::test_a_field_is_a_push_or_it_is_not",
    ),
    Mutation(
        "spec: fresh data is a push",
        "core/model/spec.py",
        " or old.data.generation != new.data.generation",
        "",
        "tests/core/test_spec_fields.py::test_a_field_is_a_push_or_it_is_not",
    ),
    Mutation(
        "spec: others look again when names changes",
        "core/model/spec.py",
        "return spec.names, spec.services, spec.pull_request, sleep, links",
        "return None, spec.services, spec.pull_request, sleep, links",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when services changes",
        "core/model/spec.py",
        "return spec.names, spec.services, spec.pull_request, sleep, links",
        "return spec.names, None, spec.pull_request, sleep, links",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when pull_request changes",
        "core/model/spec.py",
        "return spec.names, spec.services, spec.pull_request, sleep, links",
        "return spec.names, spec.services, None, sleep, links",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when sleep changes",
        "core/model/spec.py",
        "return spec.names, spec.services, spec.pull_request, sleep, links",
        "return spec.names, spec.services, spec.pull_request, None, links",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when links changes",
        "core/model/spec.py",
        "return spec.names, spec.services, spec.pull_request, sleep, links",
        "return spec.names, spec.services, spec.pull_request, sleep, None",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when choices.asleep changes",
        "core/model/spec.py",
        "sleep = spec.choices.asleep, spec.choices.sleep_requested",
        "sleep = None, spec.choices.sleep_requested",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when choices.sleep_requested changes",
        "core/model/spec.py",
        "sleep = spec.choices.asleep, spec.choices.sleep_requested",
        "sleep = spec.choices.asleep, None",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_what_their_links_depend_on_changes",
    ),
    Mutation(
        "spec: others look again when link.target changes",
        "core/model/spec.py",
        "(link.target, link.number, link.wanted)",
        "(None, link.number, link.wanted)",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_a_link_leads_to_another_preview",
    ),
    Mutation(
        "spec: others look again when link.number changes",
        "core/model/spec.py",
        "(link.target, link.number, link.wanted)",
        "(link.target, None, link.wanted)",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_a_link_leads_to_another_preview",
    ),
    Mutation(
        "spec: others look again when link.wanted changes",
        "core/model/spec.py",
        "(link.target, link.number, link.wanted)",
        "(link.target, link.number, None)",
        "tests/core/test_spec_fields.py::test_other_repositories_look_again_when_a_link_leads_to_another_preview",
    ),
    Mutation(
        "local: another build is another version",
        "local/version_key.py",
        "told = (spec.build, spec.config, links, spec.data.generation)",
        "told = (None, spec.config, links, spec.data.generation)",
        "tests/local/test_keys.py::test_a_field_makes_another_version_or_it_does_not",
    ),
    Mutation(
        "local: another config is another version",
        "local/version_key.py",
        "told = (spec.build, spec.config, links, spec.data.generation)",
        "told = (spec.build, None, links, spec.data.generation)",
        "tests/local/test_keys.py::test_a_field_makes_another_version_or_it_does_not",
    ),
    Mutation(
        "local: another links is another version",
        "local/version_key.py",
        "told = (spec.build, spec.config, links, spec.data.generation)",
        "told = (spec.build, spec.config, None, spec.data.generation)",
        "tests/local/test_keys.py::test_a_field_makes_another_version_or_it_does_not",
    ),
    Mutation(
        "local: another data.generation is another version",
        "local/version_key.py",
        "told = (spec.build, spec.config, links, spec.data.generation)",
        "told = (spec.build, spec.config, links, None)",
        "tests/local/test_keys.py::test_a_field_makes_another_version_or_it_does_not",
    ),
    Mutation(
        "4 a restart of what never ran waits for nobody",
        "core/planning/plan.py",
        "if self._never_ran(identity, old, new):",
        "if False:",
        "tests/core/test_spec_fields.py::test_changed_configuration_waits_for_its_hour_unless_the_preview_never_ran",
    ),
    Mutation(
        "4 an outage is not a fault of its own",
        "core/planning/plan.py",
        "preview.health is not Health.FAILED or old.asleep",
        "old.asleep",
        "tests/core/test_spec_fields.py::test_changed_configuration_waits_for_its_hour_unless_the_preview_never_ran",
    ),
    Mutation(
        "4 a changed need is never without loss",
        "core/planning/plan.py",
        "return not runs and same_needs and",
        "return not runs and",
        "tests/core/test_spec_fields.py::test_changed_configuration_waits_where_data_could_be_lost",
    ),
    Mutation(
        "local: services of a first start reach each other",
        "local/switch.py",
        "with self._addresses.trying(self._record.starting) if first else contextlib.nullcontext():",
        "with contextlib.nullcontext():",
        "tests/local/test_versions.py::test_services_of_one_preview_reach_each_other_during_the_first_start",
    ),
    Mutation(
        "spec: sleep follows a person while the rest waits",
        "core/planning/plan.py",
        "        choices=new.choices,\n",
        "",
        "tests/core/test_spec_fields.py::test_while_a_removed_service_waits_for_a_person_choices_follow_and_versions_stay",
    ),
    Mutation(
        "spec: the data's life follows while the rest waits",
        "core/planning/plan.py",
        "        data=new.data,\n",
        "",
        "tests/core/test_spec_fields.py::test_while_a_removed_service_waits_for_a_person_choices_follow_and_versions_stay",
    ),
    Mutation(
        "spec: a push arrives while a database waits",
        "core/planning/plan.py",
        "replace(old, build=new.build, chart=new.chart, times=times)",
        "replace(old, build=new.build, chart=new.chart)",
        "tests/core/test_spec_fields.py::test_while_a_removed_database_waits_for_a_person_pushes_arrive_too",
    ),
    Mutation(
        "labels are the same in every case",
        "core/policy/labels.py",
        "return one.casefold() == other.casefold()",
        "return one == other",
        "tests/core/test_labels.py::test_label_names_are_case_insensitive",
    ),
    Mutation(
        "the keep label keeps in every case",
        "core/policy/expiry.py",
        "not labels.carries(pull_request.labels, lifetime.keep_label)",
        "lifetime.keep_label not in pull_request.labels",
        "tests/core/test_labels.py::test_the_keep_label_in_capitals_keeps_the_preview",
    ),
    Mutation(
        "a preview stays while the label is on in any case",
        "core/policy/removal.py",
        "if pull_request.state is State.OPEN and labels.carries(pull_request.labels, label):",
        "if pull_request.state is State.OPEN and label in pull_request.labels:",
        "tests/core/test_labels.py::test_a_preview_is_not_removed_while_the_label_is_on_in_capitals",
    ),
    Mutation(
        "what stays becomes private with its repository",
        "core/planning/plan.py",
        "        pull_request=new.pull_request,\n",
        "",
        "tests/core/test_what_follows.py::test_what_is_known_of_a_pull_request_follows_while_its_preview_stays",
    ),
    Mutation(
        "what is in doubt becomes private with its repository",
        "core/planning/desired.py",
        "served.pull_request.private or facts.listing.private",
        "served.pull_request.private",
        "tests/core/test_what_follows.py::test_a_stale_read_is_followed_in_nothing_but_secrecy",
    ),
    Mutation(
        "a stale read makes nothing public",
        "core/planning/desired.py",
        "served.pull_request.private or facts.listing.private",
        "facts.listing.private",
        "tests/core/test_what_follows.py::test_a_stale_read_makes_nothing_public",
    ),
    Mutation(
        "a choice without a preview keeps the link that works",
        "core/linking/links.py",
        "elif now is not None and now.number != number:",
        "elif False:",
        "tests/core/test_links.py::test_a_choice_without_a_preview_keeps_the_link_that_works",
    ),
    Mutation(
        "2 the shape of every pull request is checked",
        "github/listings.py",
        "        shapes.check(node, shapes.PULL_REQUEST, what, times=True)\n",
        "",
        "tests/github_adapter/test_shapes.py::test_the_sentence_says_what_is_wrong_and_where",
    ),
    Mutation(
        "2 an error inside one pull request is doubt about it",
        "github/listings.py",
        "for number in [n for n in nodes if n not in doubts]:",
        "for number in nodes:",
        "tests/github_adapter/test_shapes.py::test_an_error_inside_one_pull_request_is_doubt_about_that_one_alone",
    ),
    Mutation(
        "2 doubt about one pull request does not end the pass",
        "github/listings.py",
        "                doubts[number] = str(error)\n",
        "                raise\n",
        "tests/scenarios/test_reading.py::test_a_pull_request_that_cannot_be_read_keeps_its_preview_and_stops_no_other",
    ),
    Mutation(
        "5 a choice outlives a pull request that cannot be read",
        "controller/requested_choices.py",
        "        asking |= {Identity(repository_id, n) for n in unsure} | _unlisted(read)\n",
        "",
        "tests/scenarios/test_reading.py::test_a_pull_request_that_cannot_be_read_loses_no_choice_that_a_person_made",
    ),
    Mutation(
        "nothing is looked up for a pull request that a gate stops",
        "core/planning/required_reads.py",
        "if isinstance(admission(p, context), LabelEvent)]",
        "]",
        "tests/core/test_required_reads.py::test_no_fact_is_asked_for_that_no_decision_reads",
    ),
    Mutation(
        "permissions decide the links of a preview that waits",
        "core/planning/required_reads.py",
        "pull_request.identity in asking or keeps_links(pull_request, context)",
        "pull_request.identity in asking",
        "tests/core/test_required_reads.py::test_decision_reads_no_fact_that_was_not_asked_for",
    ),
    Mutation(
        "a dry run raises no watermark",
        "controller/gather.py",
        "    freshness = freshness.copy()\n",
        "",
        "tests/scenarios/test_queries.py::test_a_dry_run_changes_nothing_that_the_loop_remembers",
    ),
    Mutation(
        "5 a choice outlives an old read of its pull request",
        "controller/requested_choices.py",
        "unsure = read.listing.doubts.keys() | read.stale",
        "unsure = read.listing.doubts.keys()",
        "tests/controller/test_asked.py"
        "::test_a_choice_is_forgotten_only_when_its_pull_request_is_surely_closed_or_unlabeled",
    ),
    Mutation(
        "7 a comment whose making was answered oddly is not made twice",
        "github/writes.py",
        "return isinstance(error, OutcomeUnknown) or not isinstance(error, RetryLater | NotFound)",
        "return isinstance(error, OutcomeUnknown)",
        "tests/github_adapter/test_shapes.py::test_a_comment_whose_making_was_answered_oddly_is_found_and_not_made_twice",
    ),
    Mutation(
        "2 a pull request that had the label is read to our comment",
        "core/planning/required_reads.py",
        "names = {*pull_request.labels, *(e.label for e in pull_request.label_events)}",
        "names = set(pull_request.labels)",
        "tests/github_adapter/test_client.py::test_a_pull_request_that_was_labeled_once_is_read_to_our_comment",
    ),
    Mutation(
        "2 ids of any size make no fork of our own branch",
        "github/listings.py",
        'if node["headRepository"] is not None and not node["isCrossRepository"]:',
        "if False:",
        "tests/github_adapter/test_client.py::test_ids_of_any_size_are_the_same_everywhere",
    ),
    Mutation(
        "2 a replica that lags behind an earlier read is doubt",
        "controller/freshness.py",
        "([mark[0].updated_at] if mark else [])",
        "[]",
        "tests/controller/test_freshness.py::test_answer_older_than_one_that_was_read_is_stale_after_the_hint_has_done_its_work",
    ),
    Mutation(
        "2 a replica that lags is known after a restart",
        "controller/gather.py",
        "freshness.keep(repository_id, _set_of(listing, observed).watermarks)",
        "pass",
        "tests/scenarios/test_replicas.py::test_preview_unlabeled_and_labeled_survives_a_replica_that_still_shows_it_unlabeled",
    ),
    Mutation(
        "2 a replica that lags: a reopening is kept at once",
        "core/planning/watermarks.py",
        "any(_stored(before, i.number) != _stored(after, i.number) for i in held)",
        "False",
        "tests/scenarios/test_replicas.py::test_preview_closed_and_reopened_survives_a_replica_that_still_shows_it_closed",
    ),
    Mutation(
        "2 a replica that lags within a second is doubt",
        "core/policy/removal.py",
        "if isinstance(found, Go) and (asked_at := _asked_since(found, answer, facts)):",
        "if False:",
        "tests/core/test_watermarks.py::test_closing_read_in_the_second_of_a_reopening_waits_an_hour",
    ),
    Mutation(
        "2 a read from GitHub's future raises no watermark",
        "core/planning/watermarks.py",
        "return pull_request.updated_at <= now + AHEAD",
        "return True",
        "tests/core/test_watermarks.py::test_read_from_githubs_future_raises_no_watermark",
    ),
    Mutation(
        "7 our comment is known by its id",
        "core/comment/signed_block.py",
        "return by_id or max(signed, key=lambda c: self._sequence(identity, c), default=pull_request.comment)",
        "return pull_request.comment",
        "tests/scenarios/test_our_comment.py::test_comment_that_a_person_damaged_is_written_again_and_no_second_one_is_made",
    ),
    Mutation(
        "7 our comment is not made again after one 404",
        "github/writes.py",
        "if await self._ours(slug, number, marker, found) or await self._exists(slug, found):",
        "if False:",
        "tests/scenarios/test_our_comment.py::test_damaged_comment_whose_edit_got_a_404_once_stays_the_only_one",
    ),
    Mutation(
        "sentences: the version that keeps running is one that runs",
        "core/messages/running.py",
        "{next(iter(now.versions))[:7]}, keeps running",
        "{(*now.starting, *now.versions)[0][:7]}, keeps running",
        "tests/core/test_sentences.py::test_sentences_name_only_running_versions_valid_expiries_and_possible_steps",
    ),
    Mutation(
        "sentences: a kept preview is not said to expire without activity",
        "core/messages/lifetime.py",
        "    if kept:\n        label",
        "    if False:\n        label",
        "tests/core/test_sentences.py::test_sentences_name_only_running_versions_valid_expiries_and_possible_steps",
    ),
    Mutation(
        "sentences: nobody is told to take off a label that is not on",
        "core/comment/body.py",
        'off = "" if held else f"Remove',
        'off = f"Remove',
        "tests/core/test_sentences.py::test_sentences_name_only_running_versions_valid_expiries_and_possible_steps",
    ),
    Mutation(
        "sentences: a command that fails in the base branch's image asks for no push",
        "core/comment/statuses.py",
        "(fix := _command_of_base(spec, preview, decided))",
        '(fix := "")',
        "tests/scenarios/test_versions.py::test_command_that_fails_in_an_image_of_the_base_branch_asks_for_no_push",
    ),
    Mutation(
        "kubectl: Ready means that the head is what serves",
        "argocd/preview_object.py",
        "status.stage in SERVES and status.serves_head and view.newest",
        "status.stage in SERVES and view.newest",
        "tests/argocd_engine/test_published.py::test_preview_that_serves_another_commit_than_the_head_is_not_ready",
    ),
    Mutation(
        "kubectl: nobody knows whether a preview is ready whose repository cannot be read",
        "argocd/preview_object.py",
        'unknown = view.trouble and kind != "Held"',
        'unknown = ""',
        "tests/argocd_engine/test_published.py"
        "::test_while_a_repository_cannot_be_read_nobody_knows_whether_it_is_ready",
    ),
    Mutation(
        "kubectl: an object of another installation is not taken over",
        "argocd/published.py",
        'body["metadata"]["resourceVersion"] = NO_VERSION',
        "pass",
        "tests/argocd_engine/test_published.py::test_object_of_another_installation_is_not_taken_over",
    ),
    Mutation(
        "wait: an older version that still runs is not the head",
        "core/comment/serving.py",
        "and not runs.previous and not runs.down",
        "and not runs.down",
        "tests/core/test_serving.py::test_head_is_served_when_only_its_images_run",
    ),
    Mutation(
        "wait: containers of an earlier version have ended",
        "core/comment/awaited.py",
        "[s.service for s in status.services if s.ending]",
        "[]",
        "tests/core/test_awaited.py::test_wait_is_over_when_the_commit_serves_or_a_person_is_needed",
    ),
    Mutation(
        "wait: a commit that is not the head is not served",
        "core/comment/awaited.py",
        "if commit and not status.head_sha.startswith(commit.lower()):",
        "if False:",
        "tests/core/test_awaited.py::test_wait_is_over_when_the_commit_serves_or_a_person_is_needed",
    ),
    Mutation(
        "sentences: a held preview is not said to expire",
        "core/comment/body.py",
        'gone = "" if held else f"',
        'gone = f"',
        "tests/core/test_sentences.py::test_sentences_name_only_running_versions_valid_expiries_and_possible_steps",
    ),
    Mutation(
        "7 a duplicate of our comment is deleted",
        "core/planning/decision.py",
        "*comments, *_deletions(facts))",
        "*comments)",
        "tests/scenarios/test_our_comment.py::test_duplicate_comment_after_a_kill_and_a_lagging_list_is_deleted",
    ),
    Mutation(
        "5 a comment that another person edited is not deleted",
        "core/comment/signed_block.py",
        "if c.id != kept.id and c.trusted)",
        "if c.id != kept.id)",
        "tests/scenarios/test_our_comment.py::test_comment_of_ours_that_another_person_edited_is_never_deleted",
    ),
    Mutation(
        "7 our comment that tells a removal is read back",
        "controller/executor.py",
        "    return readback.wait(identity, said)\n",
        "    return None\n",
        "tests/scenarios/test_our_comment.py::test_removal_stays_open_until_its_comment_is_read_back",
    ),
    Mutation(
        "7 the comment on a removal waits for a pull request that GitHub hides for a moment",
        "controller/executor.py",
        "if readback.exhausted(identity, unseen, HIDDEN_TRIES):",
        "if True:",
        "tests/scenarios/test_one_pull_request.py::test_comment_on_a_removal_is_written_although_github_does_not_show_the_pull_request_for_a_moment",
    ),
    Mutation(
        "7 our comment is not written for ever",
        "controller/readback.py",
        "return max(0.0, last[2] + backoff.pause(WAITS, last[1] - 1) - self.monotonic())",
        "return 0.0",
        "tests/scenarios/test_our_comment.py::test_comment_that_is_never_applied_does_not_use_up_githubs_limits",
    ),
    Mutation(
        "hints keep a distance",
        "controller/loop.py",
        "self._pull(found, max(time.monotonic(), found.begun + self._distance()))\n\n",
        "self._pull(found, 0.0)\n\n",
        "tests/controller/test_loop.py::test_a_burst_of_webhooks_is_one_pass_until_the_distance_is_over_and_the_first_does_not_wait",
    ),
    Mutation(
        "9 a warning that could not be delivered is no warning",
        "core/comment/undelivered.py",
        "if comment and memory and memory.warned_at:",
        "if False:",
        "tests/scenarios/test_one_pull_request.py::test_expiry_counts_from_the_warning_that_was_delivered",
    ),
    Mutation(
        "10 what fails for one preview ends no pass",
        "controller/backoff.py",
        "own = not (away or each.shared or self._of_everybody(each.action.identity, error, since))",
        "own = False",
        "tests/controller/test_backoff.py::test_another_effect_of_the_same_preview_and_other_previews_do_not_wait",
    ),
    Mutation(
        "10 a rate limit concerns everybody",
        "controller/backoff.py",
        "return isinstance(error, FixConfiguration | Limited)",
        "return isinstance(error, FixConfiguration)",
        "tests/controller/test_backoff.py::test_an_error_that_concerns_all_previews_is_not_a_failure_of_one",
    ),
    Mutation(
        "2 what another repository under this name does not show is doubt",
        "github/pull_requests.py",
        'if int(shown["id"]) != repository_id:',
        "if False:",
        "tests/github_adapter/test_refused.py::test_hidden_pull_request_is_distinguished_from_a_hidden_repository_and_from_another_one",
    ),
    Mutation(
        "3 what GitHub hides goes only when a person says so",
        "core/policy/removal.py",
        "return Stay(Stage.HELD, messages.not_shown(), hold=HoldKey(HoldKind.NOT_SHOWN))",
        'return Go(Cause.CLOSED, messages.closed(""), "", facts.listing.read_at)',
        "tests/core/test_removal.py::test_pull_request_that_github_does_not_show_is_held_for_a_person",
    ),
    Mutation(
        "8 the names of a former repository are not taken over while it holds something",
        "core/planning/desired.py",
        "if spec is None and context.former:",
        "if False:",
        "tests/core/test_left.py::test_new_repository_waits_for_every_trace_of_the_former_one",
    ),
    Mutation(
        "8 an ApplicationSet of another id is taken over only when it is empty",
        "argocd/known_sets.py",
        "if over and preview_set.generation > other.generation:",
        "if True:",
        "tests/argocd_engine/test_races.py::test_a_repository_created_again_under_its_old_name_does_not_take_the_old_ones_specs",
    ),
    Mutation(
        "3 a removal in a former repository is not told on another one's pull request",
        "controller/executor.py",
        "if not action.final or not here:",
        "if not action.final:",
        "tests/scenarios/test_replaced_repository.py::test_removal_in_an_earlier_repository_writes_no_comment_in_the_new_one",
    ),
    Mutation(
        "7 warnings and choices do not wait for the budget",
        "controller/reconcile.py",
        "return isinstance(action, UpdateComment) and block is not None and block.memory == action.memory",
        "return isinstance(action, UpdateComment)",
        "tests/scenarios/test_one_pull_request.py::test_low_budget_postpones_wording_and_never_warnings_choices_or_final_comments",
    ),
    Mutation(
        "30 what cannot be written down is not believed",
        "local/record_file.py",
        "self._state.write_preview(kept)\n            self._kept, self._noted = kept, True",
        "self._kept, self._noted = kept, True\n            self._state.write_preview(kept)",
        "tests/local/test_full_disk.py::test_a_crash_on_a_full_disk_is_fixed_once_there_is_space",
    ),
    Mutation(
        "30 a row set that cannot be kept is not believed",
        "local/preview_sets.py",
        "self._state.write_specs(preview_set)\n        self._sets[preview_set.repository_id] = preview_set",
        "self._sets[preview_set.repository_id] = preview_set\n        self._state.write_specs(preview_set)",
        "tests/local/test_full_disk.py::test_a_preview_set_that_cannot_be_kept_is_not_believed",
    ),
    Mutation(
        "30 a full disk is not the commit's fault",
        "local/failed_version.py",
        "if excused := machine.excuse(error, self._disks):",
        "if excused := None:",
        "tests/local/test_full_disk.py::test_a_push_on_a_full_disk_leaves_the_old_version_and_continues_when_there_is_room",
    ),
    Mutation(
        "30 a process that cannot be looked at is not dead",
        "local/processes.py",
        "except (FileNotFoundError, ProcessLookupError):\n        return None",
        "except OSError:\n        return None",
        "tests/local/test_full_disk.py::test_too_many_open_files_end_no_preview",
    ),
    Mutation(
        "30 processes that cannot be looked for are not gone",
        "local/processes.py",
        'for folder in Path("/proc").iterdir():',
        'for folder in Path("/proc").glob("nothing"):',
        "tests/local/test_full_disk.py::test_too_many_open_files_end_no_preview",
    ),
    Mutation(
        "14 an address is not taken from a preview that has it",
        "local/routes.py",
        "if holder != owner:",
        "if False:",
        "tests/local/test_addresses.py::test_a_second_preview_of_one_host_waits_and_takes_no_route",
    ),
    Mutation(
        "14 a removal leaves the routes of others",
        "local/routes.py",
        "del self._claims[host][owner]",
        "self._claims[host].clear()",
        "tests/local/test_addresses.py::test_removing_one_of_two_previews_of_a_host_leaves_the_other_its_route",
    ),
    Mutation(
        "33 after a rename the old address ends",
        "local/routes.py",
        "for host in set(self.hosts(owner)) - ports.keys():",
        "for host in set[str]():",
        "tests/local/test_addresses.py::test_after_a_rename_the_old_address_answers_404",
    ),
    Mutation(
        "39 a commit that is not in the checkout is fetched again",
        "local/preview.py",
        "if self._failed.fetch_is_due(spec):",
        "if False:",
        "tests/local/test_fetching.py::test_preview_with_a_missing_commit_starts_once_a_person_fetches_it",
    ),
    Mutation(
        "38 a form from another site changes nothing in the simulated GitHub",
        "simulate/pages.py",
        'if request.headers.get("origin") != f"{request.url.scheme}://{request.headers[\'host\']}":',
        "if False:",
        "tests/simulate/test_pages.py::test_form_from_another_site_changes_nothing",
    ),
    Mutation(
        "38 a rebound name reaches nothing of the simulated GitHub",
        "simulate/run.py",
        "return LoopbackOnly(_OneAddress(github, images, people), [host])",
        "return _OneAddress(github, images, people)",
        "tests/simulate/test_pages.py::test_only_loopback_names_are_answered_by_the_pages_the_api_and_the_registry",
    ),
    Mutation(
        "38 the file of the simulated GitHub cannot run code",
        "simulate/keeping.py",
        "if name not in OURS.get(module, ()):",
        "if False:",
        "tests/simulate/test_keeping.py::test_file_from_elsewhere_cannot_run_code",
    ),
    Mutation(
        "39 a fetch times out",
        "local/worktrees.py",
        "asyncio.timeout(self._fetch_seconds)",
        "asyncio.timeout(60)",
        "tests/local/test_fetching.py::test_fetch_from_a_remote_that_hangs_or_asks_for_a_password_times_out",
    ),
    Mutation(
        "39 every git ends in time",
        "local/git.py",
        "asyncio.timeout(seconds)",
        "asyncio.timeout(60)",
        "tests/local/test_worktrees.py::test_a_checkout_that_hangs_ends_in_time_and_leaves_no_files",
    ),
    Mutation(
        "40 text by strangers is escaped at a preview's address",
        "core/comment/sanitize.py",
        "html.escape(sentence)",
        "sentence",
        "tests/local/test_proxy.py::test_preview_that_does_not_serve_returns_html_to_browsers_and_text_to_others",
    ),
    Mutation(
        "33 the receipt looks at routes",
        "local/receipts.py",
        "for host in ground.proxy.routes.hosts(identity)",
        "for host in ()",
        "tests/local/test_addresses.py::test_the_receipt_looks_at_routes",
    ),
    Mutation(
        "3 a label that is deleted in the repository removes nothing",
        "core/policy/removal.py",
        "answer.label_since is not None and answer.label_since < event.at",
        "True",
        "tests/core/test_removal.py::test_unlabeled_counts_only_while_the_repository_has_that_very_label",
    ),
    Mutation(
        "3 a label that was created after the event is another one",
        "core/policy/removal.py",
        " and answer.label_since < event.at",
        "",
        "tests/core/test_removal.py::test_unlabeled_counts_only_while_the_repository_has_that_very_label",
    ),
    Mutation(
        "3 a later event of a label without a name is doubt",
        "core/policy/removal.py",
        "return any(e.label == UNKNOWN_LABEL and e.at >= event.at for e in later)",
        "return False",
        "tests/core/test_removal.py::test_a_later_event_of_a_label_without_a_name_is_doubt",
    ),
    Mutation(
        "3 a replica that lags shows no label",
        "github/pull_requests.py",
        "if known < found.updated_at:",
        "if False:",
        "tests/github_adapter/test_changes.py::test_label_that_a_lagging_replica_still_shows_confirms_nothing",
    ),
    Mutation(
        "wrong commit: a merge commit of an earlier head",
        "github/translate.py",
        'if not merge or not any(p and p["oid"] == node["headRefOid"] for p in merge["parents"]["nodes"] or ()):',
        "if not merge:",
        "tests/github_adapter/test_changes.py::test_merge_commit_of_an_earlier_head_is_ignored",
    ),
    Mutation(
        "wrong commit: files of another head",
        "github/changed_files.py",
        "        if not same:\n",
        "        if False:\n",
        "tests/github_adapter/test_changes.py::test_files_of_a_pull_request_that_changed_meanwhile_are_doubt",
    ),
    Mutation(
        "wrong commit: files that GitHub leaves out",
        "github/changed_files.py",
        "return found if len(files) == listed.changed_files else None",
        "return found",
        "tests/github_adapter/test_changes.py::test_files_that_github_leaves_out_make_every_path_possible",
    ),
    Mutation(
        "9 a commit from the future is no activity",
        "core/policy/expiry.py",
        "return min(activity.at, spec.times.head_since)",
        "return activity.at",
        "tests/core/test_expiry_times.py::test_commit_from_the_future_counts_from_when_its_head_was_first_seen",
    ),
    Mutation(
        "9 a push that waits for its image is activity",
        "core/policy/expiry.py",
        "last_activity(pull_request, spec, me) if seen else now",
        "last_activity(pull_request, spec, me)",
        "tests/core/test_expiry_times.py::test_head_that_was_never_seen_before_was_pushed_just_now",
    ),
    Mutation(
        "3 Argo CD: Helm's release name is the same for every preview",
        "argocd/applicationset.py",
        '"helm": {"releaseName": RELEASE, "values"',
        '"helm": {"values"',
        "tests/argocd_engine/test_sets.py::test_helm_takes_the_release_name_of_every_preview_however_long_its_name_is",
    ),
    Mutation(
        "8 an ApplicationSet is not taken over while a removal of the former repository is open",
        "argocd/known_sets.py",
        "over = not other.specs and all(w.told for w in other.ledger.withdrawals)",
        "over = not other.specs",
        "tests/argocd_engine/test_races.py::test_recreated_repository_takes_the_application_set_over_once_nothing_of_the_old_one_is_left",
    ),
    Mutation(
        "8 a repository that takes another one's place goes on from its generation",
        "core/planning/decision.py",
        "max(before, default=0)",
        "0",
        "tests/core/test_left.py::test_new_repository_continues_from_the_generation_of_the_former_one",
    ),
    Mutation(
        "8 a repository that is another one at GitHub is looked after",
        "core/planning/former_repositories.py",
        "if here is None or ids.get(here.slug.lower(), repository_id) != repository_id:",
        "if here is None:",
        "tests/core/test_left.py::test_repository_that_is_another_one_at_github_is_called_by_its_id_too",
    ),
    Mutation(
        "8 without GitHub's id no repository is taken for another one",
        "core/planning/former_repositories.py",
        "ids.get(here.slug.lower(), repository_id) != repository_id",
        "ids.get(here.slug.lower()) != repository_id",
        "tests/core/test_left.py::test_repository_that_is_another_one_at_github_is_called_by_its_id_too",
    ),
    Mutation(
        "background work starts again",
        "background.py",
        "            await sleep(pause)\n",
        "            return await sleep(pause)\n",
        "tests/test_background.py::test_work_that_raises_is_run_again_with_growing_pauses",
    ),
    Mutation(
        "background work that fails at once waits longer each time",
        "background.py",
        "            failures += 1\n",
        "            pass\n",
        "tests/test_background.py::test_work_that_raises_is_run_again_with_growing_pauses",
    ),
    Mutation(
        "background work that lasted starts over with short pauses",
        "background.py",
        "failures = 0 if monotonic() - begun >= SETTLED_SECONDS else failures",
        "failures += 0",
        "tests/test_background.py::test_pauses_start_over_once_the_work_has_lasted",
    ),
    Mutation(
        "the loop outlives what its reports raise",
        "controller/loop.py",
        'self._tasks.keep(f"passes over {new}", running)',
        'self._tasks.start(f"passes over {new}", running())',
        "tests/controller/test_loop.py::test_loop_continues_when_reporting_a_trouble_fails",
    ),
    Mutation(
        "a small file does not expand without end",
        "config/yaml_loader.py",
        "if known[id(node)] > MAX_NODES:",
        "if False:",
        "tests/config/test_hostile_files.py::test_small_file_that_expands_without_end_is_refused[aliases]",
    ),
    Mutation(
        "an anchor does not contain itself",
        "config/yaml_loader.py",
        "if id(node) in within:",
        "if False:",
        "tests/config/test_hostile_files.py::test_anchor_that_contains_itself_is_refused",
    ),
    Mutation(
        "a device is not read for a file",
        "config/reading.py",
        "if not stat.S_ISREG(mode):",
        "if False:",
        "tests/config/test_hostile_files.py::test_link_to_an_endless_device_is_a_mistake",
    ),
    Mutation(
        "6 a control character is no space before a command",
        "core/policy/commands.py",
        "typed = _typed(line).strip(_BLANK)",
        "typed = _typed(line).strip()",
        "tests/core/test_commands.py::test_a_command_is_a_line_of_its_own",
    ),
    Mutation(
        "6 a control character is no space after a command",
        "core/policy/commands.py",
        "match = _USE.fullmatch(words.strip(_BLANK))",
        "match = _USE.fullmatch(words.strip())",
        "tests/core/test_commands.py::test_a_command_is_a_line_of_its_own",
    ),
    Mutation(
        "2 the doubt about a reopening in the same second ends after an hour",
        "core/policy/removal.py",
        "return mark.asked_at if answer.read_at - mark.asked_at < SAME_SECOND else None",
        "return mark.asked_at",
        "tests/core/test_watermarks.py::test_closing_read_in_the_second_of_a_reopening_waits_an_hour",
    ),
    Mutation(
        "2 an answer from before the request is read again, and no person has to decide",
        "core/policy/removal.py",
        "if found.since < asked_at:",
        "if False:",
        "tests/core/test_watermarks.py::test_removal_in_the_second_of_a_request_waits_for_a_person_and_an_older_one_does_not",
    ),
    Mutation(
        "2 a pull request that the list shows in part is not decided by its number",
        "core/planning/required_reads.py",
        "return tuple(sorted(found - listing.doubts.keys()))",
        "return tuple(sorted(found))",
        "tests/scenarios/test_reading.py::test_a_pull_request_that_cannot_be_read_keeps_its_preview_and_stops_no_other",
    ),
    Mutation(
        "2 a pull request that is listed twice has pushed another one out",
        "github/reading.py",
        "if len(self.nodes) != len(found) or len(found) != total:",
        "if len(found) != total:",
        "tests/github_adapter/test_shapes.py::test_a_pull_request_that_is_listed_twice_hides_another_one",
    ),
    Mutation(
        "2 a list whose pages do not go on is doubt",
        "github/reading.py",
        'if not last and (cursor in (None, self.cursor) or not page["nodes"]):',
        'if not last and not page["nodes"]:',
        "tests/github_adapter/test_shapes.py::test_pages_that_never_end_are_doubt",
    ),
    Mutation(
        "2 pages that lead in a circle are doubt",
        "github/transport.py",
        "            if url in read:\n",
        "            if url in read:\n                return\n            if False:\n",
        "tests/github_adapter/test_transport.py::test_pages_that_point_back_to_an_earlier_page_are_doubt",
    ),
    Mutation(
        "2 a deleted label in a timeline is not about the whole list",
        "github/reading.py",
        ' and path[-1] != "databaseId" and not event',
        ' and path[-1] != "databaseId"',
        "tests/github_adapter/test_shapes.py::test_a_deleted_label_in_a_timeline_is_not_about_the_whole_list",
    ),
    Mutation(
        "2 a label event without a label keeps its place",
        "github/translate.py",
        "            found.append(LabelEvent(UNKNOWN_LABEL, False, actor(None), found[-1].at if found else begins))\n",
        "            continue\n",
        "tests/github_adapter/test_nulls.py::test_label_event_without_a_label_keeps_its_place",
    ),
    Mutation(
        "2 a page that was not understood is not cached",
        "github/transport.py",
        "            for url in urls:\n                self._cache.pop(url, None)\n            raise\n",
        "            raise\n",
        "tests/github_adapter/test_shapes.py::test_a_damaged_answer_is_not_confirmed_by_a_304",
    ),
    Mutation(
        "2 a commit is forty digits",
        "github/shapes.py",
        "return isinstance(value, str) and _SHA.fullmatch(value) is not None",
        "return isinstance(value, str)",
        "tests/github_adapter/test_shapes.py::test_the_sentence_says_what_is_wrong_and_where",
    ),
    Mutation(
        "2 a time names its zone",
        "github/shapes.py",
        "and datetime.fromisoformat(value).tzinfo is not None",
        "and datetime.fromisoformat(value) is not None",
        "tests/github_adapter/test_shapes.py::test_the_sentence_says_what_is_wrong_and_where",
    ),
    Mutation(
        "2 a hint is not beyond GitHub's clock",
        "controller/freshness.py",
        "if identity.repository_id == repository_id and updated_at > now + watermarks.AHEAD:",
        "if False:",
        "tests/controller/test_freshness.py::test_hint_from_githubs_future_is_a_hint_of_now",
    ),
    Mutation(
        "2 a hint ends after an hour",
        "controller/freshness.py",
        "if now - h[1] < HINT_KEPT}",
        "}",
        "tests/controller/test_freshness.py::test_a_hint_bounds_reads_from_below",
    ),
    Mutation(
        "2 a hint stays until it was read",
        "controller/freshness.py",
        "if hint and hint[0] <= highest.updated_at:",
        "if hint:",
        "tests/controller/test_freshness.py::test_hint_outlives_a_read_that_is_older_than_it",
    ),
    Mutation(
        "2 what the list does not show is asked for three times",
        "controller/freshness.py",
        " and self._unseen.get(i, 0) < len(WAITS)",
        "",
        "tests/controller/test_freshness.py::test_what_the_list_does_not_show_is_asked_three_times",
    ),
    Mutation(
        "2 a read without our last comment is old",
        "controller/freshness.py",
        "return self._comment_lags(pull_request) or self._label_lags(pull_request)",
        "return self._label_lags(pull_request)",
        "tests/controller/test_freshness.py::test_our_own_comment_must_come_back",
    ),
    Mutation(
        "2 a read with the label that we took off is old",
        "controller/freshness.py",
        "return self._comment_lags(pull_request) or self._label_lags(pull_request)",
        "return self._comment_lags(pull_request)",
        "tests/controller/test_freshness.py::test_a_label_that_we_took_off_is_off",
    ),
    Mutation(
        "2 watermarks are kept of our own pull requests only",
        "core/planning/watermarks.py",
        "watermarks={n: mark for n, mark in sorted(marks.items()) if n in kept}",
        "watermarks=dict(sorted(marks.items()))",
        "tests/core/test_watermarks.py::test_watermarks_of_pull_requests_that_are_none_of_ours_are_not_kept",
    ),
    Mutation(
        "2 a hidden repository hides no single pull request",
        "github/pull_requests.py",
        '        with self._transport.whole_read():\n            shown = await self._transport.get(f"/repos/{slug}")\n            shapes.check(shown, {"id": shapes.number}, slug)\n        if int(shown["id"]) != repository_id:\n            return False\n',
        "",
        "tests/scenarios/test_one_pull_request.py::test_404_while_the_repository_is_hidden_too_is_doubt_without_a_hold",
    ),
    Mutation(
        "7 a removal is concluded where GitHub takes no comment",
        "controller/executor.py",
        "except Refused as error:",
        "except ZeroDivisionError as error:",
        "tests/scenarios/test_one_pull_request.py::test_removal_that_cannot_be_commented_is_completed",
    ),
    Mutation(
        "7 a comment that is never read back does not hold a removal open",
        "controller/readback.py",
        " and last[1] >= tries",
        " and last[1] >= 10**6",
        "tests/scenarios/test_our_comment.py::test_removal_whose_comment_is_never_read_back_is_completed_after_a_few_edits",
    ),
    Mutation(
        "7 a comment that promises a preview is looked for after its pull request is closed",
        "core/planning/required_reads.py",
        "| (promised - listed)",
        "",
        "tests/core/test_promises.py::test_a_promised_pull_request_that_the_list_leaves_out_is_read_by_number",
    ),
    Mutation(
        "2 doubt tells nobody that a pull request is closed",
        "core/planning/desired.py",
        " and gone.cause in (Cause.CLOSED, Cause.MERGED):",
        ":",
        "tests/core/test_promises.py::test_doubt_reports_no_pull_request_as_closed",
    ),
    Mutation(
        "7 a pull request that GitHub does not show is looked for ten times",
        "controller/promises.py",
        "self._tries[identity] >= tries",
        "False",
        "tests/controller/test_promises.py::test_greenroom_stops_looking_for_a_pull_request_that_github_does_not_show",
    ),
    Mutation(
        "5 our comment is known by its signature",
        "core/comment/signed_block.py",
        "return by_id or max(signed, key=lambda c: self._sequence(identity, c), default=pull_request.comment)",
        "return by_id or pull_request.comment",
        "tests/core/test_comment.py::test_our_comment_is_known_by_its_signature_whatever_was_written_before_it",
    ),
    Mutation(
        "5 a choice outlives the removal of its preview",
        "controller/executor.py",
        'memory = replace(known, warned_at=None, expired_at=None, why="")',
        "memory = CommentState()",
        "tests/scenarios/test_links.py::test_a_choice_comes_back_with_the_preview_although_its_command_is_gone",
    ),
    Mutation(
        "9 an expiry that could not be written down holds",
        "core/comment/undelivered.py",
        "if comment and memory and memory.expired_at:",
        "if False:",
        "tests/scenarios/test_one_pull_request.py::test_a_conversation_locked_after_the_warning_holds_the_preview",
    ),
    Mutation(
        "9 a label that could not be taken off holds",
        "core/comment/undelivered.py",
        "    if label:\n",
        "    if False:\n",
        "tests/scenarios/test_one_pull_request.py::test_label_that_cannot_be_taken_off_holds_its_preview_alone",
    ),
    Mutation(
        "9 a review counts from its submission",
        "github/translate.py",
        'at = node["submittedAt"] if kind == "PullRequestReview" else node["createdAt"]',
        'at = node["createdAt"]',
        "tests/github_adapter/test_nulls.py::test_null_node_that_says_nothing_is_skipped",
    ),
    Mutation(
        "9 a held preview past its lifetime is told",
        "core/policy/expiry.py",
        "aged or (expires is not None and now >= expires)",
        "aged",
        "tests/core/test_overdue.py::test_a_held_preview_is_overdue_once_its_lifetime_is_over",
    ),
    Mutation(
        "7 an expired label is taken off as GitHub spells it",
        "core/planning/plan.py",
        "labels.spelling(on, label)",
        "label",
        "tests/core/test_labels.py::test_an_expired_label_is_taken_off_as_github_spells_it",
    ),
    Mutation(
        "10 a removal that the engine has not finished is looked at in every pass",
        "controller/backoff.py",
        "if found is None or found.left or isinstance(action, Remove):",
        "if found is None or found.left:",
        "tests/controller/test_backoff.py::test_removal_is_looked_at_when_asked_for_and_whenever_the_engine_wakes_us",
    ),
    Mutation(
        "10 a write that is not allowed to anybody concerns everybody",
        "controller/backoff.py",
        "return written is None or written < since",
        "return False",
        "tests/controller/test_backoff.py::test_an_error_that_concerns_all_previews_is_not_a_failure_of_one",
    ),
    Mutation(
        "10 a write that is not allowed is one preview's own while others succeed",
        "controller/backoff.py",
        "return written is None or written < since",
        "return True",
        "tests/controller/test_backoff.py::test_a_write_that_is_not_allowed_is_one_previews_own_while_others_succeed",
    ),
    Mutation(
        "10 an other side that answers nobody is away",
        "controller/backoff.py",
        "away = _away(done)",
        "away = False",
        "tests/controller/test_backoff.py::test_failures_of_all_previews_mean_that_the_other_side_is_down",
    ),
    Mutation(
        "10 without the place of the one writer no preview has failed",
        "controller/backoff.py",
        "away or each.shared or",
        "away or",
        "tests/controller/test_backoff.py::test_losing_the_lease_is_not_a_failure_of_a_preview",
    ),
    Mutation(
        "10 a locked conversation does not blame the token",
        "github/transport.py",
        'if status == 403 and b"issue is locked" in response.content:',
        "if False:",
        "tests/github_adapter/test_refused.py::test_locked_conversation_is_refused_and_the_token_is_not_blamed",
    ),
    Mutation(
        "10 what GitHub asks to wait is an hour at most",
        "github/transport.py",
        "min(LONGEST_WAIT, float(after))",
        "float(after)",
        "tests/github_adapter/test_transport.py::test_githubs_own_wish_is_kept_up_to_an_hour",
    ),
    Mutation(
        "10 no wake is stronger than GitHub's wish",
        "controller/loop.py",
        "key.not_before = time.monotonic() + error.after",
        "pass",
        "tests/controller/test_loop.py::test_no_wake_comes_before_what_github_asked_to_wait_for",
    ),
    Mutation(
        "10 passes keep a longer distance while the budget shrinks",
        "controller/loop.py",
        "DISTANCE * max(1.0, limit / max(1, remaining))",
        "DISTANCE",
        "tests/controller/test_loop.py::test_distance_between_passes_grows_as_githubs_budget_shrinks",
    ),
    Mutation(
        "10 endless steps keep the distance",
        "controller/loop.py",
        "if key.steps < 1:",
        "if False:",
        "tests/controller/test_loop.py::test_steps_of_a_removal_follow_each_other_at_once_and_endless_ones_keep_the_distance",
    ),
    Mutation(
        "10 a fifth of the writes is kept for what must not wait",
        "github/content_budget.py",
        "RESERVE = 0.2",
        "RESERVE = 0.0",
        "tests/github_adapter/test_content_budget.py::test_what_may_wait_waits_while_only_the_reserve_is_left",
    ),
    Mutation(
        "10 writes are counted",
        "github/transport.py",
        'if method != "GET" and url != self.graphql_url:',
        "if False:",
        "tests/github_adapter/test_content_budget.py::test_writes_are_counted_and_reads_are_not",
    ),
    Mutation(
        "10 a list that is too heavy is asked for in smaller pages",
        "github/page_size.py",
        "max(1, self.size // 2)",
        "self.size",
        "tests/github_adapter/test_page_size.py::test_a_page_that_was_too_much_is_asked_for_at_half_the_size_down_to_one",
    ),
    Mutation(
        "10 a heavy repository shares no query",
        "github/page_size.py",
        "self.size // 2), alone=True)",
        "self.size // 2), alone=False)",
        "tests/github_adapter/test_heavy_lists.py::test_a_heavy_repository_stops_none_of_the_nine_that_shared_its_query",
    ),
    Mutation(
        "what has no room becomes private with its repository",
        "core/planning/decision.py",
        "verdict, spec = wanted.verdicts[identity], at_least_private(identity, facts)",
        "verdict, spec = wanted.verdicts[identity], facts.observed.spec(identity)",
        "tests/core/test_what_follows.py::test_a_preview_that_the_engine_has_no_room_for_becomes_private_with_its_repository",
    ),
    Mutation(
        "what the list leaves out becomes private with its repository",
        "core/planning/desired.py",
        "replace(found, spec=at_least_private(identity, context.facts)) if isinstance(found, Stay) else found",
        "found",
        "tests/core/test_what_follows.py::test_a_preview_whose_pull_request_the_list_leaves_out_becomes_private_with_its_repository",
    ),
    Mutation(
        "what left the catalog counts as private",
        "core/planning/desired.py",
        "{i: replace(stays, spec=at_least_private(i, facts)) for i in context.held}",
        "{i: stays for i in context.held}",
        "tests/core/test_what_follows.py::test_a_preview_of_a_repository_that_left_the_catalog_counts_as_private",
    ),
    Mutation(
        "links: a pair that stays meanwhile still needs writers",
        "core/linking/links.py",
        "        found = _pair(service, use, context, index, permissions)  # checks the permissions",
        "        found = now  # checks the permissions",
        "tests/core/test_links.py::test_a_pair_stays_together_while_a_choice_has_no_preview_and_only_while_both_may_write",
    ),
    Mutation(
        "links: a link that is kept falls back when its preview goes",
        "core/linking/links.py",
        "        if target is not None:\n            return replace(_to(service, use, target, context, why), wanted=wanted)\n",
        "        if True:\n            return replace(now, why=why, wanted=wanted)\n",
        "tests/core/test_links.py::test_a_kept_link_falls_back_when_its_own_preview_is_removed",
    ),
    Mutation(
        "links: a refused choice that keeps a link is not told elsewhere",
        "core/linking/links.py",
        "wanted = 0 if choice.refused else number",
        "wanted = number",
        "tests/core/test_links.py::test_a_choice_that_may_not_be_read_keeps_the_same_link_as_one_that_does_not_exist",
    ),
    Mutation(
        "gate: bots that are not listed",
        "core/policy/gates.py",
        "if pull_request.author.kind is Kind.BOT and not _listed(pull_request.author.login, platform):",
        "if False:",
        "tests/core/test_gates.py::test_each_gate_says_why",
    ),
    Mutation(
        "a bot is listed in every case",
        "core/policy/gates.py",
        "login.casefold() == bot.casefold()",
        "login == bot",
        "tests/core/test_labels.py::test_bot_logins_are_case_insensitive",
    ),
    Mutation(
        "wrong commit: the same head keeps its versions",
        "core/policy/images.py",
        "if version and (same or version.reference == reference):",
        "if version and version.reference == reference:",
        "tests/scenarios/test_versions.py::test_retargeted_pull_request_keeps_its_versions",
    ),
    Mutation(
        "wrong commit: a renamed file touches the service that lost it",
        "github/translate.py",
        'None in files["nodes"] or any(n["changeType"] == "RENAMED" for n in files["nodes"])',
        'None in files["nodes"]',
        "tests/scenarios/test_versions.py::test_renamed_file_touches_the_service_that_lost_it",
    ),
    Mutation(
        "wrong commit: more files than the list tells",
        "github/translate.py",
        'if files is None or files["pageInfo"]["hasNextPage"]:',
        "if files is None:",
        "tests/scenarios/test_versions.py::test_files_behind_the_first_hundred_decide_which_services_are_touched",
    ),
    Mutation(
        "wrong commit: files that cannot be read change nothing",
        "controller/gather.py",
        "stale=stale | unread | overtaken",
        "stale=stale | overtaken",
        "tests/scenarios/test_versions.py::test_files_that_cannot_be_read_change_nothing",
    ),
    Mutation(
        "a redeploy waits for a registry that is away",
        "core/policy/images.py",
        "            return Stay(Stage.WAITING, messages.registry_unknown(state.why))\n",
        "            continue\n",
        "tests/scenarios/test_versions.py::test_redeploy_waits_for_a_registry_that_is_away",
    ),
    Mutation(
        "local: the whole Host header names a preview",
        "local/forwarding.py",
        "if _OURSELVES.fullmatch(host) and",
        "if _OURSELVES.match(host) and",
        "tests/local/test_proxy.py::test_the_path_names_a_host_only_where_no_name_was_asked_for",
    ),
    Mutation(
        "local: only a server on our own data is ours",
        "local/postgres_data.py",
        "not listens or not _same(Path(folder), self._path)",
        "not listens",
        "tests/local/test_postmaster.py::test_a_copy_of_a_state_folder_leaves_the_server_of_the_original_alone",
    ),
    Mutation(
        "local: a preview that is not removed yet keeps PostgreSQL running",
        "local/engine.py",
        "if not self._previews:  # nothing else would stop it",
        "if True:",
        "tests/local/test_postmaster.py::test_preview_that_is_not_removed_yet_keeps_the_server_running",
    ),
    Mutation(
        "local: what served first keeps its address after a restart",
        "local/engine.py",
        "sorted(self._ground.state.previews().items(), key=_serving_first)",
        "reversed(sorted(self._ground.state.previews().items(), key=_serving_first))",
        "tests/local/test_addresses.py::test_after_a_restart_the_address_stays_with_the_preview_that_serves",
    ),
    Mutation(
        "local: a row that comes and goes during a removal leaves no route",
        "local/removal.py",
        "        # A spec that was served and withdrawn during the removal has claimed the routes again.\n        self._addresses.release()\n",
        "",
        "tests/local/test_addresses.py::test_a_label_that_flaps_while_a_preview_is_removed_leaves_no_route",
    ),
    Mutation(
        "local: a task that fails in any way is started again",
        "local/preview.py",
        'self._tasks.keep(f"preview {self.kept.identity}", self._drive)',
        'self._tasks.start("preview", self._drive())',
        "tests/local/test_machine.py::test_a_task_that_fails_in_any_way_is_started_again",
    ),
    Mutation(
        "what goes goes although the watermarks do not fit",
        "controller/reconcile.py",
        "if not more and marks:",
        "if False:",
        "tests/scenarios/test_accidents.py::test_watermarks_that_do_not_fit_keep_nothing_from_going",
    ),
    Mutation(
        "7 a pull request that cannot be read is looked for through an outage",
        "controller/promises.py",
        "tries = TRIES if identity.number in facts.hidden else UNREAD_TRIES",
        "tries = TRIES",
        "tests/controller/test_promises.py::test_a_pull_request_that_closes_while_github_answers_with_errors_is_looked_for_until_it_is_read",
    ),
    Mutation(
        "5 a choice outlives a list that leaves its pull request out",
        "controller/requested_choices.py",
        "for n in unsure} | _unlisted(read)",
        "for n in unsure}",
        "tests/controller/test_asked.py::test_a_choice_is_forgotten_only_when_its_pull_request_is_surely_closed_or_unlabeled",
    ),
    Mutation(
        "2 one old read of two is enough for doubt",
        "controller/gather.py",
        "old = (p for p in reads if",
        "old = (p for p in {r.identity: r for r in reads}.values() if",
        "tests/scenarios/test_split_replicas.py::test_preview_is_not_woken_by_a_list_that_lags_behind_the_read_by_number",
    ),
    Mutation(
        "10 a limit that a read by number meets ends the pass",
        "controller/gather.py",
        "except (FixCredentials, FixConfiguration, Limited):",
        "except (FixCredentials, FixConfiguration):",
        "tests/scenarios/test_limits.py::test_limit_that_a_read_meets_ends_the_pass_and_is_waited_for",
    ),
    Mutation(
        "10 a limit that a permission meets ends the pass",
        "controller/gather.py",
        "    except Limited:\n        raise\n    except (FixCredentials, FixConfiguration) as error:",
        "    except (FixCredentials, FixConfiguration) as error:",
        "tests/scenarios/test_limits.py::test_limit_that_a_read_meets_ends_the_pass_and_is_waited_for",
    ),
    Mutation(
        "10 a limit that changed files meet ends the pass",
        "controller/gather.py",
        "    except Limited:\n        raise\n    except Doubt as error:",
        "    except Doubt as error:",
        "tests/scenarios/test_limits.py::test_limit_that_a_read_meets_ends_the_pass_and_is_waited_for",
    ),
    Mutation(
        "2 the watermark of a preview that starts is kept",
        "core/planning/watermarks.py",
        "held(facts.listing.repository_id)}.union(starts)",
        "held(facts.listing.repository_id)}",
        "tests/core/test_watermarks.py::test_watermarks_of_pull_requests_that_are_none_of_ours_are_not_kept",
    ),
    Mutation(
        "5 a copy of our signed line is not our comment",
        "core/comment/signed_block.py",
        "key_id in keys and hmac.compare_digest(mac, self._mac(keys[key_id], identity, comment.id, payload))",
        "key_id in keys",
        "tests/core/test_comment.py::test_our_comment_is_known_by_its_signature_whatever_was_written_before_it",
    ),
    Mutation(
        "2 a pull request of a repository that took the name over says nothing of the old one",
        "controller/gather.py",
        "if answer.pull_request.identity != identity:",
        "if False:",
        "tests/scenarios/test_split_replicas.py::test_pull_request_of_a_repository_that_took_the_name_over_says_nothing_of_the_old_one",
    ),
    Mutation(
        "what a set that cannot be read holds is private to those that link to it",
        "argocd/known_sets.py",
        "{number: with_privacy(spec, True) for number, spec in theirs}",
        "dict(theirs)",
        "tests/argocd_engine/test_doubts.py::test_specs_of_a_set_that_cannot_be_read_are_private_to_those_that_link_to_them",
    ),
    Mutation(
        "the last comment on a public pull request links to no other repository",
        "core/comment/body.py",
        "lasting = status.stage is Stage.REMOVED and not private",
        "lasting = False",
        "tests/core/test_comment.py::test_last_comment_on_a_public_pull_request_links_to_no_other_repository",
    ),
    Mutation(
        "10 what is due and waits for the budget delays no later look",
        "controller/backoff.py",
        "for until in mine if until > now), default=None",
        "for until in mine), default=None",
        "tests/controller/test_backoff.py::test_effect_that_is_due_and_waits_for_something_else_hides_no_later_look",
    ),
    Mutation(
        "8 an instance that leads and cannot begin its loops stops",
        "controller/instance.py",
        '        except Exception as error:\n            log.exception("this instance cannot lead")',
        '        except GreenroomError as error:\n            log.exception("this instance cannot lead")',
        "tests/running/test_lead.py::test_instance_that_leads_and_cannot_begin_its_loops_stops",
    ),
]


ITS_OWN_ERROR = re.compile(
    r"^E +(?:NameError|ImportError|SyntaxError|UnboundLocalError|AttributeError: (?!'NoneType')).*", re.MULTILINE
)
"""An error of a mutation that names what does not exist, perhaps because a rename passed it by."""


def red(copy: Path, tests: Sequence[str], *, whole: bool = False) -> list[str]:
    """Run these tests over the code as it is in the copy; return those that failed, without `whole` only the first.

    The run is a fork, so that libraries are imported once and not for every mutation. Raises `RuntimeError` when pytest
    did not run the tests to their end.
    """
    with tempfile.TemporaryFile("w+") as output:
        if not (child := os.fork()):
            status = os.EX_SOFTWARE
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                status = _pytest(copy, tests, whole=whole)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        output.seek(0)
        said = output.read()
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    if not whole and (wrong := ITS_OWN_ERROR.search(said)):
        raise RuntimeError(f"the mutated code does not run, so its death proves nothing: {wrong[0]}")
    if status and not failed:
        raise RuntimeError(f"pytest ended with {status} on {' '.join(tests)}: {said[-2000:]}")
    return failed


def _pytest(copy: Path, tests: Sequence[str], *, whole: bool) -> int:
    signal.alarm(0 if whole else PATIENCE)
    os.chdir(copy)
    sys.path[:] = [str(copy / "src"), *(p for p in sys.path if Path(p) not in (ROOT / "src", ROOT / "tests"))]
    os.environ["PYTHONPATH"] = str(copy / "src")
    if not whole:  # the code is a mutation's: nothing of it may stay in a cache
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # pytest warns of plugins that were imported before it could rewrite their assertions: LIBRARIES are.
    quiet = ["-q", "-rfE", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    status = int(pytest.main([*quiet, *([] if whole else ["-x"]), *tests]))
    loaded = sys.modules.get("greenroom")
    if loaded is None or not Path(str(loaded.__file__)).is_relative_to(copy):
        print(f"the tests did not run over the code in {copy}, but over {loaded}")
        status = os.EX_SOFTWARE
    sys.stdout.flush()
    return status


def verdict(mutation: Mutation) -> str:
    """Take the rule out in this worker's copy; return what became of it. That of a kill begins with `killed`."""
    path = COPY[0] / "src" / "greenroom" / mutation.file
    text = path.read_text() if path.exists() else ""
    if text.count(mutation.old) != 1:
        return f"NOT FOUND: the code holds its text {text.count(mutation.old)} times"
    path.write_text(text.replace(mutation.old, mutation.new))
    try:
        failed = red(COPY[0], [mutation.test])
    except RuntimeError as error:
        return f"BROKEN {error}"
    finally:
        path.write_text(text)
    return f"killed by {mutation.test.partition('::')[2]}" if failed else f"SURVIVED {mutation.test}"


def unmutated(tests: Sequence[str]) -> list[str]:
    """Return the tests of one file that fail without any mutation. Their bytecode stays for the runs that follow."""
    return red(COPY[0], tests, whole=True)


COPY: list[Path] = []


def copied(folder: str) -> None:
    """Make this worker's copy of what the tests need. Its bytecode is checked against the code, not against its time."""
    copy = Path(tempfile.mkdtemp(dir=folder))
    for name in ("src", "tests", "docs", "examples", "charts"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    checked = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(copy / "src", quiet=1, invalidation_mode=checked)
    compileall.compile_dir(copy / "tests", quiet=1, maxlevels=0)
    sys.path.insert(0, str(copy / "tests"))
    importlib.import_module("judge").openapi()  # it takes a second to be read, and no mutation is in it
    COPY[:] = [copy]


def main() -> int:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = sorted((m for m in MUTATIONS if word in m.rule), key=lambda m: m.test)
    files = [list(tests) for _, tests in groupby(sorted({m.test for m in chosen}), key=lambda t: t.partition("::")[0])]
    survived, fork = 0, multiprocessing.get_context("fork")
    for each in LIBRARIES:
        importlib.import_module(each)
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(os.cpu_count(), fork, initializer=copied, initargs=(folder,)) as workers,
    ):
        for test in chain.from_iterable(workers.map(unmutated, files)):
            print(f"RED without any mutation: {test}", flush=True)
            survived += 1
        for mutation, found in zip(chosen, workers.map(verdict, chosen), strict=True):
            survived += not found.startswith("killed")
            print(f"{mutation.rule} ({mutation.file}): {found}", flush=True)
    print(f"{survived} are not held by their test" if survived else f"all {len(chosen)} rules are held by their test")
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main())
