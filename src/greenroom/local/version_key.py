"""The key of a version: specs with the same key run the same version."""

from __future__ import annotations

import hashlib

from greenroom.core.linking.addresses import link_variables
from greenroom.core.model.spec import PreviewSpec


def key_of(spec: PreviewSpec) -> str:
    """Return a hash of the parts of a spec that define a version to run. Its label and its names are not among them."""
    links = [(k.service, link_variables(k)) for k in spec.links.targets]
    told = (spec.build, spec.config, links, spec.data.generation)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
