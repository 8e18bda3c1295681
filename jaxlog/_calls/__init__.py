"""What a user calls in the program: from its arguments to a record on its way out."""
