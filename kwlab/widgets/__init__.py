"""Things to play with: buttons and fields around the pictures. Everything they show is found out elsewhere."""
