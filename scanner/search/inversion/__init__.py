"""From a reply to strings that bring it: what is proposed, how it is scored, how strings grow."""
