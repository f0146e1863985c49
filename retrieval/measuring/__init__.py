"""Rankings with ground truth become figures."""
