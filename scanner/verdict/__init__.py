"""What is concluded from findings, under which rules, what was not looked at, and the report of it all."""
