"""The GraphQL that we send: open pull requests of several repositories in one query, and one pull request's comments.

https://docs.github.com/en/graphql/reference/objects#pullrequest
"""

from __future__ import annotations

from collections.abc import Sequence

_ACTOR = "{ __typename login }"
# `databaseId` is an Int of 32 bits, and ids of comments have outgrown it. `fullDatabaseId` comes as a string.
_COMMENTS = (
    f"pageInfo {{ hasNextPage endCursor }} nodes {{ databaseId: fullDatabaseId body createdAt author {_ACTOR}"
    f" editor {_ACTOR} }}"
)
_POINTS = "rateLimit { cost limit remaining }"
VIEWER = f"{{ viewer {{ login }} {_POINTS} }}"

PULL_REQUEST = f"""
fragment pullRequest on PullRequest {{
  number title url body isDraft isCrossRepository state createdAt updatedAt closedAt baseRefName baseRefOid headRefName
  headRefOid
  baseRef {{ target {{ oid }} }}
  headRepository {{ databaseId }}
  author {_ACTOR}
  mergeable changedFiles
  potentialMergeCommit {{ oid parents(first: 2) {{ nodes {{ oid }} }} }}
  files(first: 100) {{ pageInfo {{ hasNextPage }} nodes {{ path changeType }} }}
  labels(first: 100) {{ pageInfo {{ hasNextPage }} nodes {{ name }} }}
  labelEvents: timelineItems(last: 100, itemTypes: [LABELED_EVENT, UNLABELED_EVENT]) {{
    pageInfo {{ hasPreviousPage }}
    nodes {{
      __typename
      ... on LabeledEvent {{ createdAt actor {_ACTOR} label {{ name }} }}
      ... on UnlabeledEvent {{ createdAt actor {_ACTOR} label {{ name }} }}
    }}
  }}
  activity: timelineItems(
    last: 50
    itemTypes: [
      PULL_REQUEST_COMMIT, HEAD_REF_FORCE_PUSHED_EVENT, ISSUE_COMMENT, PULL_REQUEST_REVIEW, REOPENED_EVENT,
      READY_FOR_REVIEW_EVENT, REVIEW_REQUESTED_EVENT
    ]
  ) {{
    pageInfo {{ hasPreviousPage }}
    nodes {{
      __typename
      ... on PullRequestCommit {{ commit {{ committedDate author {{ user {{ login }} }} }} }}
      ... on HeadRefForcePushedEvent {{ createdAt actor {_ACTOR} }}
      ... on IssueComment {{ createdAt author {_ACTOR} }}
      ... on PullRequestReview {{ submittedAt author {_ACTOR} }}
      ... on ReopenedEvent {{ createdAt actor {_ACTOR} }}
      ... on ReadyForReviewEvent {{ createdAt actor {_ACTOR} }}
      ... on ReviewRequestedEvent {{ createdAt actor {_ACTOR} }}
    }}
  }}
  comments(first: 100) {{ {_COMMENTS} }}
}}
"""


def pull_requests(count: int) -> str:
    """Return the query for one page of each of `count` repositories.

    Its variables are `o0 n0 f0 a0`, `o1 n1 f1 a1`, ...: owner, name, page size, and the cursor of the previous page.
    """
    variables = ", ".join(f"$o{i}: String!, $n{i}: String!, $f{i}: Int!, $a{i}: String" for i in range(count))
    repositories = _repositories(range(count))
    return f"query({variables}) {{ viewer {{ login }} {_POINTS} {repositories} }}{PULL_REQUEST}"


def _repositories(indexes: Sequence[int]) -> str:
    return " ".join(
        f"r{i}: repository(owner: $o{i}, name: $n{i}) {{ databaseId nameWithOwner isPrivate "
        f"pullRequests(states: OPEN, first: $f{i}, after: $a{i}, orderBy: {{field: CREATED_AT, direction: ASC}}) "
        "{ totalCount pageInfo { hasNextPage endCursor } nodes { ...pullRequest } } }"
        for i in indexes
    )


LABEL = """
query($owner: String!, $name: String!, $number: Int!, $label: String!) {
  repository(owner: $owner, name: $name) {
    label(name: $label) { createdAt }
    pullRequest(number: $number) { updatedAt }
  }
}
"""

COMMENTS = f"""
query($owner: String!, $name: String!, $number: Int!, $first: Int!, $after: String) {{
  viewer {{ login }} {_POINTS}
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{ comments(first: $first, after: $after) {{ {_COMMENTS} }} }}
  }}
}}
"""
