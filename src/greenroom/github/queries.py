"""The GraphQL that we send: open pull requests of several repositories in one query, and one's comments.

https://docs.github.com/en/graphql/reference/objects#pullrequest
"""

from __future__ import annotations

from collections.abc import Sequence

PAGE = 50

_ACTOR = "{ __typename login }"
_COMMENTS = f"pageInfo {{ hasNextPage endCursor }} nodes {{ databaseId body author {_ACTOR} editor {_ACTOR} }}"

PULL_REQUEST = f"""
fragment pullRequest on PullRequest {{
  number title url body isDraft state createdAt updatedAt closedAt baseRefName baseRefOid headRefName
  headRefOid
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
    """The query for one page of each of `count` repositories: variables `o0 n0 a0`, `o1 n1 a1`, ..."""
    variables = ", ".join(f"$o{i}: String!, $n{i}: String!, $a{i}: String" for i in range(count))
    repositories = _repositories(range(count))
    return f"query({variables}) {{ viewer {{ login }} rateLimit {{ cost remaining }} {repositories} }}{PULL_REQUEST}"


def _repositories(indexes: Sequence[int]) -> str:
    return " ".join(
        f"r{i}: repository(owner: $o{i}, name: $n{i}) {{ databaseId nameWithOwner isPrivate "
        f"pullRequests(states: OPEN, first: {PAGE}, after: $a{i}, orderBy: {{field: CREATED_AT, direction: ASC}}) "
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
query($owner: String!, $name: String!, $number: Int!, $after: String) {{
  viewer {{ login }}
  repository(owner: $owner, name: $name) {{
    pullRequest(number: $number) {{ comments(first: 100, after: $after) {{ {_COMMENTS} }} }}
  }}
}}
"""
