kinds {
  deny = [var.kind]
}
max_duration {
  fault = upper("10m")
}
