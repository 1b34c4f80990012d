"""Pages to browse a workspace: read-only, behind a token, over the same lake as the commands."""
