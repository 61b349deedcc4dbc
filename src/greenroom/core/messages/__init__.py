"""All sentences that people read about a preview, so that the comment, `explain`, dashboard and log use the same words.

Each function is named for the situation and returns a `Reason`: the situation and its cause, then the next step. The
modules are the subjects; this list is what everything else uses.
"""

from __future__ import annotations

from greenroom.core.messages.changes import (
    data_reset,
    falls_asleep,
    image_of,
    images_there,
    new_image,
    new_settings,
    new_version,
    redeployed,
    same_version,
    tried_again,
    waits_for_push,
    wakes,
)
from greenroom.core.messages.ci import (
    ci_approval,
    ci_conflict,
    ci_failed,
    ci_no_run,
    ci_running,
    ci_skipped,
    ci_without_image,
)
from greenroom.core.messages.commands import (
    command_edited,
    command_no_service,
    command_not_allowed,
    command_several_services,
    command_too_late,
    command_unknown,
    nothing_to_reset,
)
from greenroom.core.messages.comment import comment_undelivered, duplicate_comment
from greenroom.core.messages.holds import (
    RELEASE,
    breaker,
    config_label,
    config_names,
    its_turn,
    label_deleted,
    label_gone,
    label_taken_by_bot,
    label_taken_by_ghost,
    list_disagrees,
    not_in_catalog,
    not_shown,
    records_lost,
    replaced,
    restart_breaker,
    same_second,
    stale,
    unconfirmed,
    with_release,
)
from greenroom.core.messages.images import (
    base_broken,
    base_depends,
    every_service,
    merge_image_only,
    no_merge_commit,
    not_prepared,
    prepared,
    registry_unknown,
    tag_moved,
    waiting_for_image,
    with_redeploy,
)
from greenroom.core.messages.lifetime import expired, expires, expiring, expiry_refused, lifespan, warning_undelivered
from greenroom.core.messages.links import link_reason, link_required, opened, relinked
from greenroom.core.messages.migrations import migration_details, migration_lines, migration_summary
from greenroom.core.messages.removal import (
    closed,
    does_not_go,
    gone,
    left,
    merged,
    never_started,
    released,
    removed,
    unlabeled,
    users_move,
    users_stay,
)
from greenroom.core.messages.requests import (
    bot_author,
    bot_labeled,
    draft,
    fork,
    label_without_event,
    labeler_gone,
    may_not_label,
    not_asked,
    permission_unknown,
    wanted,
)
from greenroom.core.messages.room import (
    engine_foreign,
    name_in_use,
    namespace_taken,
    not_stored,
    place,
    queued,
    too_large,
)
from greenroom.core.messages.running import (
    NEED_IMAGE,
    PLATFORM,
    PUSH,
    asleep,
    by_hand_gone,
    cannot_act,
    changed_by_hand,
    command_not_found,
    data_renewed,
    data_replaced,
    data_source,
    failed,
    kept_awake,
    login,
    meanwhile,
    migration_missing,
    not_taken_over,
    ready,
    starting,
    still_running,
    unreachable,
    updating,
)
from greenroom.core.messages.seed_fit import (
    data_outgrown,
    ledger_checksum,
    ledger_failed,
    ledger_several,
    migrations_no_folder,
    migrations_not_listed,
    migrations_too_large,
    migrations_too_many,
    migrations_twice,
    migrations_unclear,
    migrations_unreadable,
    seed_ahead,
    seed_edited,
    seed_other_tool,
    seed_out_of_order,
    seed_renamed,
    seed_squashed,
    seed_unmatched,
    seed_unrecorded,
)
from greenroom.core.messages.seeds import (
    OTHER_NOT_READ,
    no_dump,
    seed_failed,
    seed_missing,
    seed_not_read,
    seed_unknown,
)
from greenroom.core.messages.words import day, listed, span
