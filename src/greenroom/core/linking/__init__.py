"""The links of previews: the services that one uses, and the previews that use it."""
