require_labels = ["chaos"]
kinds {
  allow = "process_kill"
}
at_most {
  places = "many"
}
audit {
  required = "always"
}
