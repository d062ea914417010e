"""From what a user asks for to what the registry holds."""
