"""Projects, who belongs to them, invitations, and guideline versions with their acceptance."""
