"""The TFLite format. May import the frontend, passes, data and verification."""
