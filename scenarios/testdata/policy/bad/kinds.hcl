kinds {
  allow = ["network_partitoin", "disk_*"]
  deny  = ["[a"]
}
