"""The SavedModel format. May import the frontend, passes, data and verification."""
