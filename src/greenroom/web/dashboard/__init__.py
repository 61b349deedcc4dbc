"""The dashboard: a line and a page for each preview. The server renders it; reading works without JavaScript."""

from greenroom.web.dashboard.app import dashboard

__all__ = ["dashboard"]
