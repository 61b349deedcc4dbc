"""Drafts of services/*.yaml from a team's existing Compose file, Procfile or Heroku app.json."""

from greenroom.importer.draft import Draft, Options, written
from greenroom.importer.read import drafts

__all__ = ["Draft", "Options", "drafts", "written"]
