"""The commands, a few to a file. At import they only declare; what they need comes when called."""
