"""The dashboard: every preview as one line, one page for each. Server-rendered; reading works without JavaScript."""

from greenroom.web.dashboard.app import dashboard

__all__ = ["dashboard"]
