require_labels = {}
