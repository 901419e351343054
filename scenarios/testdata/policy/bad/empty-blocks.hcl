at_most {
}
max_duration {
}
approval {
  approvers = ["ann", " "]
}
