"""The page on which runs are watched, live or frozen in one file: its answers and its front end."""
