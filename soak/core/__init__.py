"""The nouns of soak. Nothing here imports anything else of it."""
