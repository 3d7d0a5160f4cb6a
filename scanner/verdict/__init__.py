"""What is concluded from findings, under which rules, and what was not looked at. Pure."""
