"""What a reviewer is shown beside the verdict: the exhibit, everybody's answers, and the metrics."""
