"""The rules that findings are named by, what each means, and how a finding is signed off."""
