kinds {
  deny = ["node_restart"
}
