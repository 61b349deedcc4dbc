"""Drafts of services/*.yaml from what a team has already: a Compose file, a Procfile, Heroku's app.json."""

from greenroom.importer.draft import Draft, Options, written
from greenroom.importer.read import drafts

__all__ = ["Draft", "Options", "drafts", "written"]
