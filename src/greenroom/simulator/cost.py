"""Cost of GraphQL queries by GitHub's published formula: points of the hourly budget, and nodes.

https://docs.github.com/en/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api#predicting-the-point-value-of-a-query
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    value_from_ast_untyped,
)


@dataclass(frozen=True, slots=True)
class Part:
    """One top-level field of a query: its name in the answer, its arguments, and its weight."""

    alias: str
    arguments: Mapping[str, Any]
    requests: int
    nodes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of a query, whole and by its parts."""

    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        """Return the points: one per 100 requests, at least one. A connection costs one request per node above it."""
        return max(1, round(sum(p.requests for p in self.parts) / 100))


def cost(document: DocumentNode, variables: Mapping[str, Any]) -> Cost:
    """Return the cost of a query, assuming that every page is full."""
    return Cost(tuple(_Walk(document, variables).parts()))


class _Walk:
    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._definitions = document.definitions
        self._variables = dict(variables)
        self._fragments = {d.name.value: d for d in self._definitions if isinstance(d, FragmentDefinitionNode)}

    def parts(self) -> Iterator[Part]:
        for definition in self._definitions:
            if isinstance(definition, OperationDefinitionNode):
                for field in self._fields(definition.selection_set):
                    requests, nodes = self._weight(field, 1)
                    alias = (field.alias or field.name).value
                    yield Part(alias, self._arguments(field), requests, nodes)

    def _weight(self, field: FieldNode, above: int) -> tuple[int, int]:
        """Return the requests and nodes of a field and everything below it, given the number of nodes above it."""
        arguments = self._arguments(field)
        size = arguments.get("first", arguments.get("last"))
        own = above * size if isinstance(size, int) else 0
        below = [self._weight(inner, own or above) for inner in self._fields(field.selection_set)]
        requests = sum(r for r, _ in below) + (above if own else 0)
        return requests, own + sum(n for _, n in below)

    def _fields(self, selections: SelectionSetNode | None) -> Iterator[FieldNode]:
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                yield from self._fields(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode):
                yield from self._fields(self._fragments[selection.name.value].selection_set)

    def _arguments(self, field: FieldNode) -> dict[str, Any]:
        return {a.name.value: value_from_ast_untyped(a.value, self._variables) for a in field.arguments or ()}
