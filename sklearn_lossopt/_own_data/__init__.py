"""``python -m sklearn_lossopt --data FILE``: both estimators on a file of one's own."""
