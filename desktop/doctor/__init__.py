"""`samehost doctor`: named checks of a whole Samehost, each with evidence and a remedy."""
