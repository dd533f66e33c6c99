"""What belongs together and what stays: components, keep rules, proposals, decisions, evaluation."""
